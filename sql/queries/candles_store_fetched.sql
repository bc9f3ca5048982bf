-- Stores closed candles as an exchange gave them: how many rows changed, by timeframe.
-- Parameters: exchange, symbol, timeframe; starts, opens, highs, lows, closes, volumes, trade_counts (arrays).
SELECT timeframe, count(*)
FROM store_fetched_candles(
    %(exchange)s, %(symbol)s, %(timeframe)s, %(starts)s::timestamptz[], %(opens)s::numeric[], %(highs)s::numeric[],
    %(lows)s::numeric[], %(closes)s::numeric[], %(volumes)s::numeric[], %(trade_counts)s::bigint[]
)
GROUP BY timeframe
