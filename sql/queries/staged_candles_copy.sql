-- Candles into the staging table, as they were fetched.
COPY staged_candles (exchange, symbol, timeframe, origin, window_start, window_end, open, high, low, close, volume,
                     trade_count) FROM STDIN
