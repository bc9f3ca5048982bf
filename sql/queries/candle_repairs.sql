-- Candles made anew and looked over: after an import, an upgrade, by hand.

-- name: candle_repairs_advance
-- Writes down that the days of a pair before `position` are looked over, and what was found in addition.
-- Parameters: exchange, pair, position, corrected, closed, reopened, made.
UPDATE candle_repairs
SET position = least(%(position)s, until), corrected = corrected + %(corrected)s, closed = closed + %(closed)s,
    reopened = reopened + %(reopened)s, made = made + %(made)s,
    finished_at = CASE WHEN %(position)s >= until THEN now() END, received_at = now()
WHERE exchange = %(exchange)s AND symbol = %(pair)s

-- name: candle_repairs_again
-- Has all stored candles looked over once more: of fetched hours, too, a longer candle is made here, or is to be.
INSERT INTO candle_repairs (exchange, symbol, since, until, position)
SELECT exchange, symbol, date_bin(interval '24 hours', min(window_start), 'epoch'),
       date_bin(interval '24 hours', max(window_start), 'epoch') + interval '24 hours',
       date_bin(interval '24 hours', min(window_start), 'epoch')
FROM all_candles
WHERE timeframe <> '1d'
GROUP BY exchange, symbol
ON CONFLICT (exchange, symbol) DO UPDATE
    SET since = excluded.since, until = excluded.until, position = excluded.position, corrected = 0, closed = 0,
        reopened = 0, made = 0, finished_at = NULL, received_at = now()

-- name: candle_repairs_due
-- The pairs whose stored candles are to be looked over, and from where on.
SELECT exchange, symbol, position, until
FROM candle_repairs
WHERE finished_at IS NULL
ORDER BY exchange, symbol

-- name: candle_repairs_next
-- The next day of a range on which a pair has candles shorter than a day; null: there is none.
-- Parameters: exchange, pair, since, until.
SELECT date_bin(interval '24 hours', min(window_start), 'epoch')
FROM (
    SELECT hot.window_start
    FROM unnest(ARRAY['1m', '5m', '15m', '1h']) AS short (timeframe)
    CROSS JOIN LATERAL (
        SELECT window_start FROM candles
        WHERE exchange = %(exchange)s AND symbol = %(pair)s AND candles.timeframe = short.timeframe
          AND window_start >= %(since)s AND window_start < %(until)s
        ORDER BY window_start LIMIT 1
    ) AS hot
    UNION ALL
    SELECT kept.window_start
    FROM unnest(ARRAY['1m', '5m', '15m', '1h']) AS short (timeframe)
    CROSS JOIN LATERAL (
        SELECT window_start FROM cold_storage.candles AS cold
        WHERE exchange = %(exchange)s AND symbol = %(pair)s AND cold.timeframe = short.timeframe
          AND window_start >= %(since)s AND window_start < %(until)s
        ORDER BY window_start LIMIT 1
    ) AS kept
) AS firsts

-- name: rebuild_candles
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

-- name: rebuild_recall
-- Brings the old candles of the first day back that has trades; how many. The stream does not wait.
-- Parameters: exchange, pair, since, until.
SELECT lock_batch(), recall_fetched(%(exchange)s, %(pair)s, '1m', ARRAY[timestamp])
FROM (
    SELECT timestamp FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s AND timestamp >= %(since)s AND timestamp < %(until)s
    ORDER BY timestamp
    LIMIT 1
) AS earliest
