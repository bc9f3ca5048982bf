-- Take a place in the budget of an exchange: how many seconds to wait for it, and how often asking has failed in a row.
-- No row where the wait would be longer than `patience`. Parameters: exchange, cost, burst, patience (intervals).
INSERT INTO rest_budgets AS budget (exchange, free_at)
VALUES (%(exchange)s, clock_timestamp() - %(burst)s::interval + %(cost)s::interval)
ON CONFLICT (exchange) DO UPDATE
SET free_at = greatest(budget.free_at, clock_timestamp() - %(burst)s::interval) + %(cost)s::interval
WHERE budget.free_at <= clock_timestamp() + %(patience)s::interval
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8, failures
