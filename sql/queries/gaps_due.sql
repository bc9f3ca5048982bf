-- What there is to ask the exchanges about, and which differences have no cause yet: how many gaps, how many candles,
-- trades or minutes they are about, and since when the first of them waits.
-- Parameters: exchanges, now, silent_since, ended_before (candles), found_before (differences).
SELECT 'candles' AS kind, count(*) AS gaps, coalesce(sum(missing), 0)::bigint AS missing,
       min(coalesce(due_at, asked_at)) AS since
FROM candle_gaps
WHERE exchange = ANY(%(exchanges)s) AND gap_end <= %(ended_before)s
  AND (status IN ('open', 'failed') AND due_at <= %(now)s OR status = 'healing' AND asked_at < %(silent_since)s)
  AND NOT gap_is_left(candle_gaps)
UNION ALL
SELECT 'trades', count(*), coalesce(sum(last_missing_id - first_missing_id + 1), 0)::bigint,
       min(coalesce(due_at, asked_at))
FROM trade_gaps
WHERE exchange = ANY(%(exchanges)s) AND made_after IS NOT NULL AND made_before IS NOT NULL
  AND (status IN ('open', 'failed') AND due_at <= %(now)s OR status = 'healing' AND asked_at < %(silent_since)s)
  AND NOT trade_gap_is_left(trade_gaps)
UNION ALL
SELECT 'differences', count(*), count(*), min(found_at)
FROM candle_differences
WHERE cause IS NULL AND found_at <= %(found_before)s
