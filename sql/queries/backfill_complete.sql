-- Everything up to the end is published. Parameters: exchange, symbol, timeframe, end_ts, total.
UPDATE backfill_progress
SET status = 'completed',
    end_ts = %(end_ts)s,
    current_position_ts = %(end_ts)s,
    published_ts = %(end_ts)s,
    covered_from = NULL,
    total_candles = %(total)s,
    attempts = 0,
    due_at = NULL,
    error_message = NULL,
    updated_at = clock_timestamp(),
    received_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
