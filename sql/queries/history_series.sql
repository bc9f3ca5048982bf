-- Every series that has candles, hot or cold, and the end of its newest one.
WITH RECURSIVE hot AS (
    (SELECT exchange, symbol, timeframe FROM candles ORDER BY exchange, symbol, timeframe LIMIT 1)
    UNION ALL
    SELECT following.* FROM hot CROSS JOIN LATERAL (
        SELECT exchange, symbol, timeframe FROM candles
        WHERE (exchange, symbol, timeframe) > (hot.exchange, hot.symbol, hot.timeframe)
        ORDER BY exchange, symbol, timeframe LIMIT 1
    ) AS following
), cold AS (
    (SELECT exchange, symbol, timeframe FROM cold_storage.candles ORDER BY exchange, symbol, timeframe LIMIT 1)
    UNION ALL
    SELECT following.* FROM cold CROSS JOIN LATERAL (
        SELECT exchange, symbol, timeframe FROM cold_storage.candles
        WHERE (exchange, symbol, timeframe) > (cold.exchange, cold.symbol, cold.timeframe)
        ORDER BY exchange, symbol, timeframe LIMIT 1
    ) AS following
)
SELECT series.exchange, series.symbol, series.timeframe, newest.window_end
FROM (SELECT * FROM hot UNION SELECT * FROM cold) AS series
CROSS JOIN LATERAL (
    SELECT window_end FROM all_candles
    WHERE all_candles.exchange = series.exchange AND all_candles.symbol = series.symbol
      AND all_candles.timeframe = series.timeframe
    ORDER BY window_start DESC LIMIT 1
) AS newest
ORDER BY 1, 2, 3
