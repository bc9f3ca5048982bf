-- What the minutes come to of which nothing is undecided any more, by series and file, oldest first: until when nobody
-- traded after each, until when its candles are stored, the close of the closed candle that it has meanwhile, and its
-- figures, open to close null where no trade is left.
SELECT exchange, symbol, fingerprint, minute, max(quiet_until), max(settled_until),
       (SELECT all_candles.close FROM all_candles
        WHERE all_candles.exchange = kept.exchange AND all_candles.symbol = kept.symbol AND timeframe = '1m'
          AND window_start = minute AND closed
        LIMIT 1),
       (array_agg(price ORDER BY row_number) FILTER (WHERE price IS NOT NULL))[1], max(price), min(price),
       (array_agg(price ORDER BY row_number DESC) FILTER (WHERE price IS NOT NULL))[1], sum(volume),
       CASE WHEN bool_or(trade_count = 0) THEN 0 ELSE sum(trade_count)::bigint END
FROM held_trades AS kept
GROUP BY exchange, symbol, fingerprint, minute
HAVING NOT bool_or(held)
ORDER BY exchange, symbol, fingerprint, minute
