-- Gaps in the trades: found, claimed, ruled on, explained.

-- name: trade_gap_upsert
insert into trade_gaps
    (exchange, pair, first_missing_id, last_missing_id, label, status, attempts, detected_at, healed_at)
values
    (%(exchange)s, %(pair)s, %(first_missing_id)s, %(last_missing_id)s, %(label)s, %(status)s, %(attempts)s,
     %(detected_at)s, %(healed_at)s)
on conflict (exchange, pair, first_missing_id) do update
set last_missing_id = excluded.last_missing_id, label = excluded.label, status = excluded.status,
    attempts = excluded.attempts, healed_at = excluded.healed_at, received_at = now();

-- name: trade_gaps_asking
-- Whoever asks about the missing trades of a pair is still at it. Parameters: exchange, pair, now.
UPDATE trade_gaps SET asked_at = %(now)s
WHERE exchange = %(exchange)s AND pair = %(pair)s AND status = 'healing' AND made_after IS NOT NULL

-- name: trade_gaps_claim
-- Takes the next gaps in the trades that are due and that no collector is at work on, nor have left: the newest of a pair and those
-- before it that one request reaches, too. Parameters: exchanges, now, silent_since, per_request (ids that one request reaches).
WITH due AS (
    SELECT exchange, pair, first_missing_id, last_missing_id, made_after
    FROM trade_gaps
    WHERE exchange = ANY(%(exchanges)s) AND trade_gap_is_due(trade_gaps, %(now)s, %(silent_since)s)
    FOR UPDATE SKIP LOCKED
), newest AS (
    SELECT * FROM due ORDER BY made_after DESC, first_missing_id DESC LIMIT 1
)
UPDATE trade_gaps SET status = 'healing', attempts = attempts + 1, asked_at = %(now)s, received_at = now()
FROM due, newest
WHERE trade_gaps.exchange = due.exchange AND trade_gaps.pair = due.pair
  AND trade_gaps.first_missing_id = due.first_missing_id
  AND due.exchange = newest.exchange AND due.pair = newest.pair
  AND (due.first_missing_id = newest.first_missing_id
       OR due.first_missing_id > newest.last_missing_id - %(per_request)s AND due.last_missing_id < newest.first_missing_id)
RETURNING trade_gaps.exchange, trade_gaps.pair, trade_gaps.first_missing_id, trade_gaps.last_missing_id, label, attempts,
          confirmations, trade_gaps.made_after, made_before

-- name: trade_gaps_list
-- Gaps in trades, newest first. Parameters: all (healed ones too), limit.
SELECT exchange, pair, first_missing_id, last_missing_id, label, status, attempts, detected_at, healed_at
FROM trade_gaps
WHERE %(all)s OR healed_at IS NULL
ORDER BY detected_at DESC
LIMIT %(limit)s

-- name: trade_gaps_record
-- Brings trade_gaps in line with the trades of a range: how many ids each change is about.
-- Parameters: exchange, pair, since, until.
SELECT status, label, count(*), sum(last_missing_id - first_missing_id + 1)::bigint
FROM record_trade_gaps(%(exchange)s, %(pair)s, %(since)s, %(until)s)
GROUP BY status, label

-- name: trade_gaps_rule
-- Writes down what became known of trades that are still missing: how many.
-- Parameters: exchange, pair; first_id, last_id, label, status, confirmations, due_at, reason (arrays of one length).
UPDATE trade_gaps
SET label = found.label, status = found.status, confirmations = found.confirmations, due_at = found.due_at,
    received_at = now(), detail = detail || jsonb_build_object('reason', found.reason)
FROM unnest(
    %(first_id)s::bigint[], %(last_id)s::bigint[], %(label)s::text[], %(status)s::text[],
    %(confirmations)s::integer[], %(due_at)s::timestamptz[], %(reason)s::text[]
) AS found (first_id, last_id, label, status, confirmations, due_at, reason)
WHERE exchange = %(exchange)s AND pair = %(pair)s AND trade_gaps.status = 'healing' AND made_after IS NOT NULL
  AND first_missing_id >= found.first_id AND last_missing_id <= found.last_id
RETURNING trade_gaps.status, trade_gaps.label, 1, last_missing_id - first_missing_id + 1

-- name: trade_gaps_unhealed
select pair, first_missing_id, last_missing_id, coalesce(label, 'lost_by_us'), status, attempts, detected_at
from trade_gaps
where exchange = %(exchange)s and status in ('open', 'healing', 'failed') and last_missing_id is not null
order by detected_at;

-- name: trade_explain
-- Writes down that there is no trade of an id. Parameters: exchange, pair, trade_id, made, reason.
SELECT count(*) FROM explain_trade(%(exchange)s, %(pair)s, %(trade_id)s, %(made)s, %(reason)s)

-- name: gaps_due
-- What there is to ask the exchanges about, and which differences have no cause yet: how many gaps, how many candles,
-- trades or minutes they are about, and since when the first of them waits.
-- Parameters: exchanges, now, silent_since, ended_before (candles), found_before (differences).
SELECT 'candles' AS kind, count(*) AS gaps, coalesce(sum(missing), 0)::bigint AS missing,
       min(coalesce(due_at, asked_at)) AS since
FROM candle_gaps
WHERE exchange = ANY(%(exchanges)s) AND gap_end <= %(ended_before)s
  AND candle_gap_is_due(candle_gaps, %(now)s, %(silent_since)s)
UNION ALL
SELECT 'trades', count(*), coalesce(sum(last_missing_id - first_missing_id + 1), 0)::bigint,
       min(coalesce(due_at, asked_at))
FROM trade_gaps
WHERE exchange = ANY(%(exchanges)s) AND trade_gap_is_due(trade_gaps, %(now)s, %(silent_since)s)
UNION ALL
SELECT 'differences', count(*), count(*), min(found_at)
FROM candle_differences
WHERE cause IS NULL AND found_at <= %(found_before)s

-- name: gaps_summary
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

-- name: collector_position_upsert
insert into collector_position (exchange, pair, trade_id, timestamp, since)
values (%(exchange)s, %(pair)s, %(trade_id)s, %(timestamp)s, %(timestamp)s)
on conflict (exchange, pair) do update
set trade_id = excluded.trade_id, timestamp = excluded.timestamp, received_at = now();

-- name: collector_positions
select pair, trade_id, timestamp from collector_position where exchange = %(exchange)s;
