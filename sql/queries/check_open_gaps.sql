-- Holes in the trade ids that are not closed, per exchange: how many, how many were given up for now, and since when.
SELECT exchange, count(*) AS open, count(*) FILTER (WHERE status = 'failed') AS failed,
       sum(last_missing_id - first_missing_id + 1)::bigint AS trades,
       extract(epoch FROM now() - min(detected_at))::float8 AS oldest
FROM trade_gaps
WHERE status IN ('open', 'healing', 'failed') AND NOT trade_gap_is_left(trade_gaps)
GROUP BY exchange
ORDER BY exchange
