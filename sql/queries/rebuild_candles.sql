-- Makes the candles of one pair anew over the minutes that have trades; how many changed, by timeframe.
-- Parameters: exchange, pair, since, until.
SELECT changed.timeframe, count(*)
FROM (
    SELECT array_agg(%(exchange)s::text) AS exchanges, array_agg(%(pair)s::text) AS pairs, array_agg(minute) AS minutes
    FROM (
        SELECT DISTINCT date_trunc('minute', timestamp) AS minute FROM trade_data
        WHERE exchange = %(exchange)s AND pair = %(pair)s AND timestamp >= %(since)s AND timestamp < %(until)s
    ) AS traded
) AS touched, refresh_candles(touched.exchanges, touched.pairs, touched.minutes) AS changed
WHERE touched.minutes IS NOT NULL
GROUP BY changed.timeframe
ORDER BY 1
