-- Indicators of candles: what is due, and how far they are.

-- name: indicators_newest
-- How far the indicators are, by timeframe: series, the newest candle of all, and that of the series furthest behind.
SELECT timeframe, count(*) AS series, max(window_start) AS newest, min(window_start) AS furthest_behind
FROM indicator_states
GROUP BY timeframe
ORDER BY array_position(ARRAY['1m', '5m', '15m', '1h', '1d'], timeframe)

-- name: indicators_series
-- Every series that has indicators, or candles noted for them.
SELECT exchange, symbol, timeframe FROM indicator_states
UNION
SELECT exchange, symbol, timeframe FROM indicator_changes
ORDER BY 1, 2, 3

-- name: indicators_waiting
-- How many series have candles whose indicators are still to be computed.
SELECT count(*) FROM (SELECT DISTINCT exchange, symbol, timeframe FROM indicator_changes) AS series

-- name: refresh_newest_indicators
-- Computes what is noted of the newest windows, all series at once; the number of candles.
SELECT refresh_newest_indicators()

-- name: refresh_next_indicators
-- Brings the series that was noted first up to date: exchange, symbol, timeframe, rows written. Nothing noted: no row.
SELECT exchange, symbol, timeframe, written FROM refresh_next_indicators()

-- name: rebuild_indicators
-- Computes the whole history of a series anew; the number of rows that differed.
-- Parameters: exchange, symbol, timeframe.
SELECT rebuild_indicators(%(exchange)s, %(symbol)s, %(timeframe)s)
