-- Gaps in trades, newest first. Parameters: all (healed ones too), limit.
SELECT exchange, pair, first_missing_id, last_missing_id, label, status, attempts, detected_at, healed_at
FROM trade_gaps
WHERE %(all)s OR healed_at IS NULL
ORDER BY detected_at DESC
LIMIT %(limit)s
