-- Candles of an exchange over a range by timeframe and source. Parameters: exchange, since, until.
SELECT timeframe, source, count(*)
FROM candles
WHERE exchange = %(exchange)s AND window_start >= %(since)s AND window_start < %(until)s
GROUP BY timeframe, source
ORDER BY timeframe, source
