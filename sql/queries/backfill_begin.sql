-- A backfill begins, or goes on. Parameters: exchange, symbol, timeframe, start_ts, end_ts, current_position_ts,
-- published_ts, covered_from, from_first, total.
INSERT INTO backfill_progress AS known (
    exchange, symbol, timeframe, status, start_ts, end_ts, current_position_ts, published_ts, covered_from, from_first,
    total_candles
)
VALUES (
    %(exchange)s, %(symbol)s, %(timeframe)s, 'in_progress', %(start_ts)s, %(end_ts)s, %(current_position_ts)s,
    %(published_ts)s, %(covered_from)s, %(from_first)s, %(total)s
)
ON CONFLICT (exchange, symbol, timeframe) DO UPDATE
    SET status = excluded.status,
        start_ts = excluded.start_ts,
        end_ts = excluded.end_ts,
        current_position_ts = excluded.current_position_ts,
        published_ts = excluded.published_ts,
        covered_from = excluded.covered_from,
        from_first = excluded.from_first,
        total_candles = excluded.total_candles,
        due_at = NULL,
        error_message = NULL,
        updated_at = clock_timestamp(),
        received_at = clock_timestamp()
