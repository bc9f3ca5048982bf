-- How far the history of each series got. Parameters: exchange, symbol, timeframe (empty: all).
SELECT exchange, symbol, timeframe, status, start_ts, end_ts, current_position_ts, total_candles, processed_candles,
       error_message, attempts, due_at, created_at, updated_at
FROM backfill_progress
WHERE (%(exchange)s::text IS NULL OR exchange = %(exchange)s) AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
ORDER BY exchange, symbol, timeframe_length(timeframe)
