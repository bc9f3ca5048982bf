-- The gaps in the candles that are not closed, and those explained, by what is known of them.
SELECT exchange, label, status, count(*) AS gaps, sum(missing)::bigint AS missing, min(detected_at) AS oldest,
       min(due_at) AS due_at
FROM candle_gaps
WHERE status <> 'healed'
GROUP BY exchange, label, status
ORDER BY exchange, status, label
