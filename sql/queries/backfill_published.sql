-- What was staged is published, or (blocked) in quarantine: then it is asked for once more.
-- Parameters: exchange, symbol, timeframe, blocked, count (rows of the batch).
UPDATE backfill_progress
SET published_ts = CASE WHEN %(blocked)s THEN published_ts ELSE current_position_ts END,
    current_position_ts = CASE WHEN %(blocked)s THEN coalesce(published_ts, start_ts) ELSE current_position_ts END,
    processed_candles = CASE WHEN %(blocked)s THEN greatest(processed_candles - %(count)s, 0) ELSE processed_candles END,
    updated_at = clock_timestamp(),
    received_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
