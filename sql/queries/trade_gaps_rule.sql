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
