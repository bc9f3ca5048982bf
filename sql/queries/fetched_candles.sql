-- Fetched and imported candles that wait to be judged and published.

-- name: staged_candles_copy
-- Candles into the staging table, as they were fetched.
COPY staged_candles (exchange, symbol, timeframe, origin, window_start, window_end, open, high, low, close, volume,
                     trade_count) FROM STDIN

-- name: staged_candles_forget
-- Candles that nobody will judge any more. Parameters: exchange, symbol, timeframe, origin.
DELETE FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND passed_at IS NULL

-- name: staged_candles_judged
-- Staged candles with the columns that their suite judges (great_expectations/README.md says what they mean); numbers
-- that are none count as missing. Parameters, bound by the client: exchange, symbol, timeframe, origin, last (number of
-- the newest row).
CREATE TEMPORARY TABLE judged_candles AS
SELECT number, window_start, low, high, volume, trade_count,
       least(open, close) AS body_low,
       greatest(open, close) AS body_high,
       num_nulls(window_start, open, high, low, close, volume, trade_count) AS lacking,
       (high / nullif(low, 0))::double precision AS range_ratio,
       (open / nullif(lag(close) OVER (ORDER BY window_start, number), 0))::double precision AS jump,
       extract(epoch FROM window_end - window_start)::double precision AS length_s,
       extract(epoch FROM timeframe_length(timeframe))::double precision AS fitting_length_s,
       extract(epoch FROM window_start - date_bin(timeframe_length(timeframe), window_start, 'epoch'))::double precision
           AS off_grid_s,
       extract(epoch FROM window_end - staged_at)::double precision AS ahead_s,
       volume <> 0 AS traded,
       CASE WHEN max(trade_count) OVER () > 0 THEN trade_count <> 0 END AS has_trades
FROM (
    SELECT number, timeframe, window_start, window_end, trade_count, staged_at,
           nullif(nullif(nullif(open, 'NaN'), 'Infinity'), '-Infinity') AS open,
           nullif(nullif(nullif(high, 'NaN'), 'Infinity'), '-Infinity') AS high,
           nullif(nullif(nullif(low, 'NaN'), 'Infinity'), '-Infinity') AS low,
           nullif(nullif(nullif(close, 'NaN'), 'Infinity'), '-Infinity') AS close,
           nullif(nullif(nullif(volume, 'NaN'), 'Infinity'), '-Infinity') AS volume
    FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NULL AND number <= %(last)s
) staged

-- name: staged_candles_judged_drop
-- The judged columns of staged candles are not needed any more.
DROP TABLE IF EXISTS judged_candles

-- name: staged_candles_left
-- The batches of candles that passed some time ago and wait to be published: whoever was at it was killed.
-- Parameter: before (when they passed at the latest).
SELECT exchange, symbol, timeframe, origin
FROM staged_candles
WHERE passed_at IS NOT NULL
GROUP BY exchange, symbol, timeframe, origin
HAVING max(passed_at) < %(before)s

-- name: staged_candles_publish
-- Stores some of the staged candles that passed, the first that came; they leave the staging table. A bound and no join:
-- what was staged a moment ago has no statistics yet. How many left, and
-- how many rows changed, by timeframe (empty: those that left). Parameters: exchange, symbol, timeframe, origin; rows.
WITH staged AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NOT NULL AND number <= coalesce((
          SELECT number FROM staged_candles
          WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
            AND passed_at IS NOT NULL
          ORDER BY number
          OFFSET %(rows)s - 1 LIMIT 1
      ), 9223372036854775807)
    RETURNING window_start, open, high, low, close, volume, trade_count
), passed AS (
    SELECT array_agg(window_start) AS starts, array_agg(open) AS opens, array_agg(high) AS highs,
           array_agg(low) AS lows, array_agg(close) AS closes, array_agg(volume) AS volumes,
           array_agg(trade_count) AS trade_counts
    FROM staged
)
SELECT '', count(*) FROM staged
UNION ALL
SELECT changed.timeframe, count(*)
FROM passed
CROSS JOIN LATERAL store_fetched_candles(
    %(exchange)s, %(symbol)s, %(timeframe)s, starts, opens, highs, lows, closes, volumes, trade_counts) changed
WHERE cardinality(starts) > 0
GROUP BY changed.timeframe

-- name: staged_candles_recall
-- Brings old candles back that the next staged ones are to be written beside; how many. The stream does not wait.
-- Parameters: exchange, symbol, timeframe, origin; rows.
SELECT lock_batch(), recall_fetched(%(exchange)s, %(symbol)s, %(timeframe)s, array_agg(window_start))
FROM (
    SELECT window_start FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NOT NULL
    ORDER BY number
    LIMIT %(rows)s
) AS following

-- name: staged_candles_resume
-- The newest candle that a run of the same range left behind when it was killed. What any run left so long ago that it may
-- have been corrected since goes. Parameters: exchange, symbol, timeframe, origin, origins (a pattern of all ranges), since
-- (what was staged before that is old).
WITH old AS (
    SELECT origin
    FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin LIKE %(origins)s
    GROUP BY origin
    HAVING min(staged_at) < %(since)s
), gone AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
      AND origin IN (SELECT origin FROM old) AND passed_at IS NULL
)
SELECT max(window_start)
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND origin NOT IN (SELECT origin FROM old)

-- name: staged_candles_rows
-- Staged candles as they were fetched. Parameters: exchange, symbol, timeframe, origin, last; numbers (empty: all).
SELECT number, window_start, window_end, exchange, symbol, timeframe, open::text, high::text, low::text, close::text,
       volume::text, trade_count, staged_at AS received_at
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND passed_at IS NULL AND number <= %(last)s AND (%(numbers)s::bigint[] IS NULL OR number = ANY(%(numbers)s))
ORDER BY number

-- name: staged_candles_settle
-- Of the staged candles that were judged those that are held back leave, and the others have passed.
-- Parameters: exchange, symbol, timeframe, origin, last; held (numbers).
WITH gone AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NULL AND number = ANY(%(held)s::bigint[])
)
UPDATE staged_candles
SET passed_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND passed_at IS NULL AND number <= %(last)s AND number <> ALL(%(held)s::bigint[])

-- name: staged_candles_waiting
-- How many candles of a series wait to be judged, the number of the newest, how many passed and wait to be published,
-- and the range of both.
-- Parameters: exchange, symbol, timeframe, origin.
SELECT count(*) FILTER (WHERE passed_at IS NULL), max(number) FILTER (WHERE passed_at IS NULL), count(passed_at),
       min(window_start), max(window_end)
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
