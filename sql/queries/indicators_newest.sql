-- How far the indicators are, by timeframe: series, the newest candle of all, and that of the series furthest behind.
SELECT timeframe, count(*) AS series, max(window_start) AS newest, min(window_start) AS furthest_behind
FROM indicator_states
GROUP BY timeframe
ORDER BY array_position(ARRAY['1m', '5m', '15m', '1h', '1d'], timeframe)
