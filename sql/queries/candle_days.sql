-- The days of a range on which a pair has candles shorter than a day, hot or cold. Parameters: exchange, pair, since,
-- until.
SELECT midnight
FROM generate_series(
    date_bin(interval '24 hours', %(since)s::timestamptz, 'epoch'), %(until)s::timestamptz - interval '1 microsecond',
    interval '24 hours') AS midnight
WHERE EXISTS (
    SELECT FROM candles
    WHERE exchange = %(exchange)s AND symbol = %(pair)s AND timeframe IN ('1m', '5m', '15m', '1h')
      AND window_start >= midnight AND window_start < midnight + interval '24 hours'
) OR EXISTS (
    SELECT FROM cold_storage.candles
    WHERE exchange = %(exchange)s AND symbol = %(pair)s AND timeframe IN ('1m', '5m', '15m', '1h')
      AND window_start >= midnight AND window_start < midnight + interval '24 hours'
)
ORDER BY midnight
