-- Candles that are missing while nobody knows why, per exchange and timeframe, and since when. What is left to others
-- (a backfill, the collector) is not counted.
SELECT exchange, timeframe, count(*) AS gaps, sum(missing)::bigint AS missing,
       extract(epoch FROM now() - min(detected_at))::float8 AS oldest
FROM candle_gaps
WHERE label IS NULL AND status IN ('open', 'healing', 'failed') AND NOT gap_is_left(candle_gaps)
GROUP BY exchange, timeframe
ORDER BY oldest DESC
