-- What the table says of each pair of an exchange.
SELECT pair, status FROM instruments WHERE exchange = %(exchange)s
