-- The gaps that are not closed, and those explained, in candles and in trades, by what is known of them.
SELECT 'candles' AS kind, exchange, label, status, count(*) AS gaps, sum(missing)::bigint AS missing,
       min(detected_at) AS oldest, min(due_at) AS due_at
FROM candle_gaps
WHERE status <> 'healed'
GROUP BY exchange, label, status
UNION ALL
SELECT 'trades', exchange, label, status, count(*),
       sum(coalesce(last_missing_id - first_missing_id + 1, 1))::bigint, min(detected_at), min(due_at)
FROM trade_gaps
WHERE status <> 'healed'
GROUP BY exchange, label, status
ORDER BY kind, exchange, status, label
