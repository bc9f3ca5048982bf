-- Makes the candles of one pair anew over the first minutes of a range that have trades, all of one day. In the first row until when that
-- was (null: no minute has any), then how many changed, by timeframe.
-- Parameters: exchange, pair, since, until; minutes, trades (the most to be looked at).
WITH traded AS MATERIALIZED (
    SELECT DISTINCT date_trunc('minute', timestamp) AS minute
    FROM (
        SELECT timestamp FROM trade_data
        WHERE exchange = %(exchange)s AND pair = %(pair)s AND timestamp >= %(since)s AND timestamp < %(until)s
        ORDER BY timestamp
        LIMIT %(trades)s
    ) AS earliest
    WHERE timestamp < (
        SELECT date_bin('24 hours', min(timestamp), 'epoch') + interval '24 hours' FROM trade_data
        WHERE exchange = %(exchange)s AND pair = %(pair)s AND timestamp >= %(since)s AND timestamp < %(until)s
    )
    ORDER BY minute
    LIMIT %(minutes)s
), touched AS (
    SELECT array_agg(%(exchange)s::text) AS exchanges, array_agg(%(pair)s::text) AS pairs, array_agg(minute) AS minutes
    FROM traded
)
SELECT '' AS timeframe, max(minute) + interval '1 minute' AS upto, 0 AS changed FROM traded
UNION ALL
SELECT changed.timeframe, NULL, count(*)
FROM touched, refresh_candles(touched.exchanges, touched.pairs, touched.minutes) AS changed
WHERE touched.minutes IS NOT NULL
GROUP BY changed.timeframe
