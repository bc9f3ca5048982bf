-- Takes the next gaps in the trades that are due and that no collector is at work on, nor have left: the newest of a pair and those
-- before it that one request reaches, too. Parameters: exchanges, now, silent_since, page (ids).
WITH due AS (
    SELECT exchange, pair, first_missing_id, last_missing_id, made_after
    FROM trade_gaps
    WHERE exchange = ANY(%(exchanges)s) AND made_after IS NOT NULL AND made_before IS NOT NULL
      AND (status IN ('open', 'failed') AND due_at <= %(now)s OR status = 'healing' AND asked_at < %(silent_since)s)
      AND NOT trade_gap_is_left(trade_gaps)
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
       OR due.first_missing_id > newest.last_missing_id - %(page)s AND due.last_missing_id < newest.first_missing_id)
RETURNING trade_gaps.exchange, trade_gaps.pair, trade_gaps.first_missing_id, trade_gaps.last_missing_id, label, attempts,
          confirmations, trade_gaps.made_after, made_before
