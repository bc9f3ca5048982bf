-- Let nobody ask an exchange for a while. Parameters: exchange, because, pause (interval).
UPDATE rest_budgets
SET closed_until = greatest(closed_until, clock_timestamp() + %(pause)s::interval),
    closed_because = %(because)s,
    free_at = greatest(free_at, clock_timestamp() + %(pause)s::interval)
WHERE exchange = %(exchange)s
