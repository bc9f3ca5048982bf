-- Stores some of the staged candles that passed, the first that came; they leave the staging table. A bound and no join:
-- what was staged a moment ago has no statistics yet. How many left, and
-- how many rows changed, by timeframe (empty: those that left). Parameters: exchange, symbol, timeframe, origin; rows.
WITH staged AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NOT NULL AND number <= coalesce((
          SELECT number FROM staged_candles
          WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
            AND passed_at IS NOT NULL
          ORDER BY number
          OFFSET %(rows)s - 1 LIMIT 1
      ), 9223372036854775807)
    RETURNING window_start, open, high, low, close, volume, trade_count
), passed AS (
    SELECT array_agg(window_start) AS starts, array_agg(open) AS opens, array_agg(high) AS highs,
           array_agg(low) AS lows, array_agg(close) AS closes, array_agg(volume) AS volumes,
           array_agg(trade_count) AS trade_counts
    FROM staged
)
SELECT '', count(*) FROM staged
UNION ALL
SELECT changed.timeframe, count(*)
FROM passed
CROSS JOIN LATERAL store_fetched_candles(
    %(exchange)s, %(symbol)s, %(timeframe)s, starts, opens, highs, lows, closes, volumes, trade_counts) changed
WHERE cardinality(starts) > 0
GROUP BY changed.timeframe
