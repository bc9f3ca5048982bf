-- Writes down what became known of windows that are still missing: how many.
-- Parameters: exchange, symbol, timeframe; starts, ends, labels, statuses, confirmations, due_at, details (arrays).
SELECT status, label, count(*), sum(missing)::bigint
FROM rule_candle_gaps(
    %(exchange)s, %(symbol)s, %(timeframe)s, %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(labels)s::text[],
    %(statuses)s::text[], %(confirmations)s::integer[], %(due_at)s::timestamptz[], %(details)s::jsonb[]
)
GROUP BY status, label
