-- It did not get on; it is tried again. A series that never began has a row from now on; one that is complete stays so
-- until its older part has begun.
-- Parameters: exchange, symbol, timeframe, start_ts, end_ts, error_message, attempts, due_at.
INSERT INTO backfill_progress AS known (
    exchange, symbol, timeframe, status, start_ts, end_ts, error_message, attempts, due_at
)
VALUES (
    %(exchange)s, %(symbol)s, %(timeframe)s, 'failed', %(start_ts)s, %(end_ts)s, %(error_message)s, %(attempts)s,
    %(due_at)s
)
ON CONFLICT (exchange, symbol, timeframe) DO UPDATE
    SET status = CASE WHEN known.status = 'completed' THEN known.status ELSE excluded.status END,
        error_message = excluded.error_message,
        attempts = excluded.attempts,
        due_at = excluded.due_at,
        updated_at = clock_timestamp(),
        received_at = clock_timestamp()
