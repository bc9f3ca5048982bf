-- Gaps in the candles: found, claimed, ruled on.

-- name: candle_gaps_asking
-- Whoever asks about the gaps of a series is still at it. Parameters: exchange, symbol, timeframe, now.
UPDATE candle_gaps SET asked_at = %(now)s
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND status = 'healing'

-- name: candle_gaps_claim
-- Takes the next gaps in the candles that are due, for whoever asks the exchange: the newest of a series and those
-- before it that one request reaches, too; `candle_gap_is_due` says which are. Short timeframes first: the longer candles
-- come from them.
-- Parameters: exchanges, now, silent_since, per_request (windows that one request reaches).
WITH due AS (
    SELECT exchange, symbol, timeframe, gap_start, gap_end
    FROM candle_gaps
    WHERE exchange = ANY(%(exchanges)s) AND candle_gap_is_due(candle_gaps, %(now)s, %(silent_since)s)
    FOR UPDATE SKIP LOCKED
), newest AS (
    SELECT * FROM due ORDER BY timeframe_length(timeframe), gap_start DESC LIMIT 1
)
UPDATE candle_gaps SET status = 'healing', attempts = attempts + 1, asked_at = %(now)s, received_at = now()
FROM due, newest
WHERE candle_gaps.exchange = due.exchange AND candle_gaps.symbol = due.symbol
  AND candle_gaps.timeframe = due.timeframe AND candle_gaps.gap_start = due.gap_start
  AND due.exchange = newest.exchange AND due.symbol = newest.symbol AND due.timeframe = newest.timeframe
  AND (due.gap_start = newest.gap_start
       OR due.gap_start >= newest.gap_end - %(per_request)s * timeframe_length(newest.timeframe))
RETURNING candle_gaps.exchange, candle_gaps.symbol, candle_gaps.timeframe, candle_gaps.gap_start, candle_gaps.gap_end,
          label, attempts, confirmations

-- name: candle_gaps_find
-- The gaps in one series. Parameters: exchange, symbol, timeframe, since, until.
SELECT gap_start, gap_end, missing
FROM find_candle_gaps(%(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s)

-- name: candle_gaps_forget
-- Forgets what is missing in a range and was never asked for. Parameters: exchange, symbol, timeframe, since, until.
SELECT forget_candle_gaps(%(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s)

-- name: candle_gaps_list
-- Gaps in candles, newest first. Parameters: all (healed and explained ones too), limit.
SELECT exchange, symbol, timeframe, gap_start, gap_end, missing, label, status, attempts, confirmations, detected_at,
       asked_at, due_at, healed_at, detail
FROM candle_gaps
WHERE %(all)s OR healed_at IS NULL
ORDER BY gap_start DESC
LIMIT %(limit)s

-- name: candle_gaps_record
-- Brings candle_gaps and completeness in line with the candles of a range: how many windows each change is about.
-- Parameters: exchange, symbol, timeframe, since, until.
SELECT status, label, count(*), sum(missing)::bigint
FROM record_candle_gaps(%(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s)
GROUP BY status, label

-- name: candle_gaps_rule
-- Writes down what became known of windows that are still missing: how many.
-- Parameters: exchange, symbol, timeframe; starts, ends, labels, statuses, confirmations, due_at, details (arrays).
SELECT status, label, count(*), sum(missing)::bigint
FROM rule_candle_gaps(
    %(exchange)s, %(symbol)s, %(timeframe)s, %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(labels)s::text[],
    %(statuses)s::text[], %(confirmations)s::integer[], %(due_at)s::timestamptz[], %(details)s::jsonb[]
)
GROUP BY status, label
