-- A page is staged: everything before the position has been asked for. Parameters: exchange, symbol, timeframe, position,
-- count.
UPDATE backfill_progress
SET current_position_ts = %(position)s,
    processed_candles = processed_candles + %(count)s,
    attempts = 0,
    updated_at = clock_timestamp(),
    received_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
