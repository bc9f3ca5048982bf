-- Has all stored candles looked over once more: of fetched hours, too, a longer candle is made here, or is to be.
INSERT INTO candle_repairs (exchange, symbol, since, until, position)
SELECT exchange, symbol, date_bin(interval '24 hours', min(window_start), 'epoch'),
       date_bin(interval '24 hours', max(window_start), 'epoch') + interval '24 hours',
       date_bin(interval '24 hours', min(window_start), 'epoch')
FROM all_candles
WHERE timeframe <> '1d'
GROUP BY exchange, symbol
ON CONFLICT (exchange, symbol) DO UPDATE
    SET since = excluded.since, until = excluded.until, position = excluded.position, corrected = 0, closed = 0,
        reopened = 0, made = 0, finished_at = NULL, received_at = now()
