-- How many pairs each exchange lists by the table.
SELECT exchange, count(*) FROM instruments WHERE status <> 'delisted' GROUP BY exchange
