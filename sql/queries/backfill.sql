-- The configured history: how far each series has been fetched.

-- name: backfill_advance
-- A page is staged: everything before the position has been asked for. Parameters: exchange, symbol, timeframe, position,
-- count.
UPDATE backfill_progress
SET current_position_ts = %(position)s,
    processed_candles = processed_candles + %(count)s,
    attempts = 0,
    updated_at = clock_timestamp(),
    received_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s

-- name: backfill_begin
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

-- name: backfill_complete
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

-- name: backfill_fail
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

-- name: backfill_follow
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

-- name: backfill_lock
-- Waits until this connection may work on the history of a series; it keeps that until it lets go or ends.
-- Parameters: exchange, symbol, timeframe.
SELECT pg_advisory_lock(hashtextextended('backfill:' || %(exchange)s || ':' || %(symbol)s || ':' || %(timeframe)s, 0))

-- name: backfill_progress_list
-- How far the history of each series got. Parameters: exchange, symbol, timeframe (empty: all).
SELECT exchange, symbol, timeframe, status, start_ts, end_ts, current_position_ts, total_candles, processed_candles,
       error_message, attempts, due_at, created_at, updated_at
FROM backfill_progress
WHERE (%(exchange)s::text IS NULL OR exchange = %(exchange)s) AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
ORDER BY exchange, symbol, timeframe_length(timeframe)

-- name: backfill_published
-- What was staged is published, or (blocked) in quarantine: then it is asked for once more.
-- Parameters: exchange, symbol, timeframe, blocked, count (rows of the batch).
UPDATE backfill_progress
SET published_ts = CASE WHEN %(blocked)s THEN published_ts ELSE current_position_ts END,
    current_position_ts = CASE WHEN %(blocked)s THEN coalesce(published_ts, start_ts) ELSE current_position_ts END,
    processed_candles = CASE WHEN %(blocked)s THEN greatest(processed_candles - %(count)s, 0) ELSE processed_candles END,
    updated_at = clock_timestamp(),
    received_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s

-- name: backfill_states
-- What is known of the history of series: how far its backfill got, when the pair was listed, and for how many days the
-- pair's own configuration wants minutes. Parameters: exchange, symbol, timeframe (arrays of one length).
SELECT wanted.exchange, wanted.symbol, wanted.timeframe, progress.status, start_ts, end_ts, current_position_ts, published_ts,
       covered_from, coalesce(from_first, false) AS from_first, coalesce(attempts, 0) AS attempts, due_at,
       lower(listed) AS listed_from, upper(listed) AS listed_to, history_days
FROM unnest(%(exchange)s::text[], %(symbol)s::text[], %(timeframe)s::text[]) WITH ORDINALITY
    wanted (exchange, symbol, timeframe, place)
LEFT JOIN backfill_progress AS progress
    ON progress.exchange = wanted.exchange AND progress.symbol = wanted.symbol AND progress.timeframe = wanted.timeframe
LEFT JOIN instruments ON instruments.exchange = wanted.exchange AND instruments.pair = wanted.symbol
LEFT JOIN crypto_configuration AS chosen ON chosen.exchange = wanted.exchange AND chosen.pair = wanted.symbol
ORDER BY place

-- name: backfill_summary
-- How far the configured history has been fetched: one row for each exchange and timeframe. Counts are candles of the
-- series that were begun.
SELECT exchange, timeframe, count(*) AS series,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       sum(total_candles)::bigint AS total,
       sum(processed_candles)::bigint AS processed,
       min(created_at) AS began, max(updated_at) AS updated
FROM backfill_progress
GROUP BY exchange, timeframe
ORDER BY exchange, timeframe_length(timeframe)

-- name: backfill_unlock
-- Lets go of the history of a series. Parameters: exchange, symbol, timeframe.
SELECT pg_advisory_unlock(hashtextextended('backfill:' || %(exchange)s || ':' || %(symbol)s || ':' || %(timeframe)s, 0))

-- name: backfills
-- The backfills that are not done, and those that failed, the furthest behind first.
SELECT exchange, symbol, timeframe, status, start_ts, end_ts, current_position_ts, total_candles, processed_candles,
       error_message, created_at, updated_at
FROM backfill_progress
WHERE status <> 'completed'
ORDER BY status, timeframe_length(timeframe), exchange, symbol

-- name: history_pairs
-- The pairs that are collected besides those of the settings.
SELECT exchange, pair FROM crypto_configuration WHERE enabled ORDER BY exchange, pair

-- name: history_series
-- Every series that has candles, hot or cold, and the end of its newest one.
WITH RECURSIVE hot AS (
    (SELECT exchange, symbol, timeframe FROM candles ORDER BY exchange, symbol, timeframe LIMIT 1)
    UNION ALL
    SELECT following.* FROM hot CROSS JOIN LATERAL (
        SELECT exchange, symbol, timeframe FROM candles
        WHERE (exchange, symbol, timeframe) > (hot.exchange, hot.symbol, hot.timeframe)
        ORDER BY exchange, symbol, timeframe LIMIT 1
    ) AS following
), cold AS (
    (SELECT exchange, symbol, timeframe FROM cold_storage.candles ORDER BY exchange, symbol, timeframe LIMIT 1)
    UNION ALL
    SELECT following.* FROM cold CROSS JOIN LATERAL (
        SELECT exchange, symbol, timeframe FROM cold_storage.candles
        WHERE (exchange, symbol, timeframe) > (cold.exchange, cold.symbol, cold.timeframe)
        ORDER BY exchange, symbol, timeframe LIMIT 1
    ) AS following
)
SELECT series.exchange, series.symbol, series.timeframe, newest.window_end
FROM (SELECT * FROM hot UNION SELECT * FROM cold) AS series
CROSS JOIN LATERAL (
    SELECT window_end FROM all_candles
    WHERE all_candles.exchange = series.exchange AND all_candles.symbol = series.symbol
      AND all_candles.timeframe = series.timeframe
    ORDER BY window_start DESC LIMIT 1
) AS newest
ORDER BY 1, 2, 3
