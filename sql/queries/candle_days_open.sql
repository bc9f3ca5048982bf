-- The days with candles whose window has ended and that are not closed, hot or cold, by pair; and those with hours of which
-- no day was made, because whoever stored them was killed.
SELECT exchange, symbol, date_bin(interval '24 hours', window_start, 'epoch')
FROM all_candles
WHERE NOT closed AND source = 'stream' AND window_end <= now()
UNION
SELECT hours.exchange, hours.symbol, hours.day
FROM (
    SELECT DISTINCT exchange, symbol, date_bin(interval '24 hours', window_start, 'epoch') AS day
    FROM all_candles
    WHERE timeframe = '1h'
) AS hours
WHERE hours.day + interval '24 hours' <= now() AND NOT EXISTS (
    SELECT FROM all_candles AS made
    WHERE made.exchange = hours.exchange AND made.symbol = hours.symbol AND made.timeframe = '1d'
      AND made.window_start = hours.day
)
ORDER BY 1, 2, 3
