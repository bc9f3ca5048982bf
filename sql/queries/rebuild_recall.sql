-- Brings the old candles of the first day back that has trades; how many. The stream does not wait.
-- Parameters: exchange, pair, since, until.
SELECT lock_batch(), recall_fetched(%(exchange)s, %(pair)s, '1m', ARRAY[timestamp])
FROM (
    SELECT timestamp FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s AND timestamp >= %(since)s AND timestamp < %(until)s
    ORDER BY timestamp
    LIMIT 1
) AS earliest
