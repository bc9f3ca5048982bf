-- Gaps in candles, newest first. Parameters: all (healed and explained ones too), limit.
SELECT exchange, symbol, timeframe, gap_start, gap_end, missing, label, status, attempts, confirmations, detected_at,
       asked_at, due_at, healed_at, detail
FROM candle_gaps
WHERE %(all)s OR healed_at IS NULL
ORDER BY gap_start DESC
LIMIT %(limit)s
