-- When the oldest stored trade of an exchange happened. Parameter: exchange.
SELECT "timestamp" FROM trade_data WHERE exchange = %(exchange)s ORDER BY "timestamp" LIMIT 1
