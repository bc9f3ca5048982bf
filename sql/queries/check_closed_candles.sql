-- Whether each minute of the last hour that has trades has a 1m candle, closed if all its trades are stored, per pair. A
-- minute that ended less than a minute ago may still be open. A minute with trades behind it that lies beyond all that was
-- looked at counts, too: then nobody looks (where ids are not consecutive, nobody does).
SELECT traded.exchange, traded.pair, count(*) AS minutes, count(*) FILTER (WHERE candles.window_start IS NULL) AS missing,
       count(*) FILTER (WHERE NOT candles.closed AND known) AS unclosed,
       min(minute) FILTER (WHERE candles.window_start IS NULL OR NOT candles.closed AND known) AS example
FROM (
    SELECT exchange, pair, date_trunc('minute', "timestamp") AS minute,
           max(date_trunc('minute', "timestamp")) OVER (PARTITION BY exchange, pair) AS newest
    FROM trade_data
    WHERE "timestamp" >= date_trunc('minute', now()) - interval '1 hour'
      AND "timestamp" < date_trunc('minute', now()) - interval '1 minute'
    GROUP BY 1, 2, 3
) AS traded
LEFT JOIN candles
    ON candles.exchange = traded.exchange AND candles.symbol = traded.pair AND candles.timeframe = '1m'
   AND candles.window_start = traded.minute AND candles.window_start >= date_trunc('minute', now()) - interval '1 hour'
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM trade_coverage AS covered
        WHERE covered.exchange = traded.exchange AND covered.pair = traded.pair
          AND covered.since < minute AND covered.until >= minute + interval '1 minute'
    ) OR has_consecutive_ids(traded.exchange) AND minute > coalesce((
        SELECT max(until) FROM trade_coverage AS covered
        WHERE covered.exchange = traded.exchange AND covered.pair = traded.pair
    ), '-infinity') AND minute + interval '1 minute' < newest AS known
) AS rested
GROUP BY traded.exchange, traded.pair
ORDER BY traded.exchange, traded.pair
