-- The stored candles of every timeframe over the touched minutes, changed or not.
-- Parameters: exchanges, pairs, minutes (arrays of one length).
SELECT received_at, window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed, source
FROM touched_candles(%(exchanges)s::text[], %(pairs)s::text[], %(minutes)s::timestamptz[])
