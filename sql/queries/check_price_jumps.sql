-- The largest step from one 1m close to the next within the last hour, in percent, per pair.
SELECT DISTINCT ON (exchange, pair) exchange, pair, window_start AS at, before, close, jump, candles
FROM (
    SELECT exchange, symbol AS pair, window_start, close, lag(close) OVER series AS before,
           (abs(close / lag(close) OVER series - 1) * 100)::float8 AS jump,
           count(*) OVER (PARTITION BY exchange, symbol) AS candles
    FROM candles
    WHERE timeframe = '1m' AND window_start > now() - interval '1 hour'
    WINDOW series AS (PARTITION BY exchange, symbol ORDER BY window_start)
) AS steps
ORDER BY exchange, pair, jump DESC NULLS LAST
