-- Staged candles as they were fetched. Parameters: exchange, symbol, timeframe, origin, last; numbers (empty: all).
SELECT number, window_start, window_end, exchange, symbol, timeframe, open::text, high::text, low::text, close::text,
       volume::text, trade_count, staged_at AS received_at
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND passed_at IS NULL AND number <= %(last)s AND (%(numbers)s::bigint[] IS NULL OR number = ANY(%(numbers)s))
ORDER BY number
