-- Whether each minute of the last hour that has trades has a closed 1m candle, per pair. A minute that ended less than
-- a minute ago may still be open.
SELECT traded.exchange, traded.pair, count(*) AS minutes, count(*) FILTER (WHERE candles.window_start IS NULL) AS missing,
       count(*) FILTER (WHERE NOT candles.closed) AS unclosed,
       min(minute) FILTER (WHERE candles.closed IS NOT TRUE) AS example
FROM (
    SELECT exchange, pair, date_trunc('minute', "timestamp") AS minute
    FROM trade_data
    WHERE "timestamp" >= date_trunc('minute', now()) - interval '1 hour'
      AND "timestamp" < date_trunc('minute', now()) - interval '1 minute'
    GROUP BY 1, 2, 3
) AS traded
LEFT JOIN candles
    ON candles.exchange = traded.exchange AND candles.symbol = traded.pair AND candles.timeframe = '1m'
   AND candles.window_start = traded.minute AND candles.window_start >= date_trunc('minute', now()) - interval '1 hour'
GROUP BY traded.exchange, traded.pair
ORDER BY traded.exchange, traded.pair
