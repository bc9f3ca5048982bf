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
