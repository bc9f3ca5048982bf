-- For how many seconds nobody may ask an exchange, and why; no row where one may. Parameter: exchange.
SELECT extract(epoch FROM closed_until - clock_timestamp())::float8, closed_because
FROM rest_budgets
WHERE exchange = %(exchange)s AND closed_until > clock_timestamp()
