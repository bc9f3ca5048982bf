-- Stores the staged candles that passed; they leave the staging table together with those that did not. How many rows
-- changed, by timeframe. Parameters: exchange, symbol, timeframe, origin, last; held (numbers).
WITH staged AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND number <= %(last)s
    RETURNING number, window_start, open, high, low, close, volume, trade_count
), passed AS (
    SELECT array_agg(window_start) AS starts, array_agg(open) AS opens, array_agg(high) AS highs,
           array_agg(low) AS lows, array_agg(close) AS closes, array_agg(volume) AS volumes,
           array_agg(trade_count) AS trade_counts
    FROM staged
    WHERE number <> ALL(%(held)s::bigint[])
)
SELECT changed.timeframe, count(*)
FROM passed
CROSS JOIN LATERAL store_fetched_candles(
    %(exchange)s, %(symbol)s, %(timeframe)s, starts, opens, highs, lows, closes, volumes, trade_counts) changed
WHERE cardinality(starts) > 0
GROUP BY changed.timeframe
