-- Asking an exchange failed: closed to all for as long as it asked for, else from the nth failure in a row on, for longer
-- each time; then one after the other, without a burst. Returns for how many seconds it is closed.
-- Parameters: exchange, because, asked (interval or null), nth, first, longest (intervals).
UPDATE rest_budgets AS budget
SET failures = budget.failures + 1,
    closed_until = closing.until,
    closed_because = CASE WHEN closing.until IS DISTINCT FROM budget.closed_until THEN %(because)s
                     ELSE budget.closed_because END,
    free_at = greatest(budget.free_at, closing.until)
FROM (
    SELECT known.exchange,
           greatest(known.closed_until,
                    CASE WHEN %(asked)s::interval IS NOT NULL THEN clock_timestamp() + %(asked)s::interval
                         WHEN known.failures + 1 >= %(nth)s THEN clock_timestamp()
                             + least(%(longest)s::interval,
                                     %(first)s::interval * 2 ^ least(known.failures + 1 - %(nth)s, 10)) END) AS until
    FROM rest_budgets known
    WHERE known.exchange = %(exchange)s
    FOR UPDATE
) closing
WHERE budget.exchange = closing.exchange
RETURNING greatest(0, coalesce(extract(epoch FROM budget.closed_until - clock_timestamp()), 0))::float8
