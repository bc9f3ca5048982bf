-- The progress of the timeframes that follow from the minutes is that of what is published of these.
-- Parameters: exchange, symbol.
INSERT INTO backfill_progress (
    exchange, symbol, timeframe, status, start_ts, end_ts, current_position_ts, published_ts, covered_from, from_first,
    total_candles, processed_candles, error_message, attempts, due_at
)
SELECT exchange, symbol, follower, status, start_ts, end_ts, published_ts, published_ts, covered_from, from_first,
       total_candles / minutes, processed_candles / minutes, error_message, attempts, due_at
FROM backfill_progress, (VALUES ('5m', 5), ('15m', 15)) followers (follower, minutes)
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = '1m'
ON CONFLICT (exchange, symbol, timeframe) DO UPDATE
    SET (status, start_ts, end_ts, current_position_ts, published_ts, covered_from, from_first, total_candles,
         processed_candles, error_message, attempts, due_at, updated_at, received_at)
        = (excluded.status, excluded.start_ts, excluded.end_ts, excluded.current_position_ts, excluded.published_ts,
           excluded.covered_from, excluded.from_first, excluded.total_candles, excluded.processed_candles,
           excluded.error_message, excluded.attempts, excluded.due_at, clock_timestamp(), clock_timestamp())
