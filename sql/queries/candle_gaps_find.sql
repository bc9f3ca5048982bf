-- The gaps in one series. Parameters: exchange, symbol, timeframe, since, until.
SELECT gap_start, gap_end, missing
FROM find_candle_gaps(%(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s)
