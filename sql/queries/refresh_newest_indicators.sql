-- Computes what is noted of the newest windows, all series at once; the number of candles.
SELECT refresh_newest_indicators()
