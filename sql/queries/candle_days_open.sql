-- The days with candles whose window has ended and that are not closed, hot or cold, by pair.
SELECT DISTINCT exchange, symbol, date_bin(interval '24 hours', window_start, 'epoch')
FROM all_candles
WHERE NOT closed AND source = 'stream' AND window_end <= now()
ORDER BY 1, 2, 3
