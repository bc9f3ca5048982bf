-- Recomputes the candles of every timeframe over the touched minutes from the trades; returns those that changed.
-- Parameters: exchanges, pairs, minutes (arrays of one length).
SELECT received_at, window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed, source
FROM refresh_candles(%(exchanges)s::text[], %(pairs)s::text[], %(minutes)s::timestamptz[])
