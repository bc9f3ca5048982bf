-- Closes the stream candles whose window has ended and that are known whole, and returns them.
SELECT received_at, window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed, source
FROM close_candles()
