-- An exchange has answered after failures. Parameter: exchange.
UPDATE rest_budgets SET failures = 0 WHERE exchange = %(exchange)s AND failures > 0
