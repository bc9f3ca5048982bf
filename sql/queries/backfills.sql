-- The backfills that are not done, and those that failed, the furthest behind first.
SELECT exchange, symbol, timeframe, status, start_ts, end_ts, current_position_ts, total_candles, processed_candles,
       error_message, created_at, updated_at
FROM backfill_progress
WHERE status <> 'completed'
ORDER BY status, timeframe_length(timeframe), exchange, symbol
