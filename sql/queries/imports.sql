-- Files imported: how far each is, its staged rows, and what they are compared with.

-- name: import_candle_close
-- Where the price stood at the end of a candle. Parameters: exchange, symbol, timeframe, at.
SELECT close::text FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND window_start = %(at)s

-- name: import_candles_known
-- The fetched candles that a series has already. Parameters: exchange, symbol, timeframe, since, until.
SELECT window_start, open, high, low, close, volume, trade_count
FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND source = 'rest'
  AND window_start >= %(since)s AND window_start <= %(until)s

-- name: import_candles_origin
-- Says of candles that an import's gate held back from which row of which file they are.
-- Parameters: run, file; key, row (arrays of one length).
UPDATE quarantine
SET origin = origin || jsonb_build_object('file', %(file)s::text, 'row', held.row)
FROM unnest(%(key)s::text[], %(row)s::bigint[]) AS held (key, row)
WHERE quarantine.subject = 'candles_rest' AND quarantine.run = %(run)s AND quarantine.key = held.key

-- name: import_lock
-- Keeps others from importing the same file at the same time, until the connection ends; false: somebody does.
-- Parameter: key.
SELECT pg_try_advisory_lock(hashtextextended('import:' || %(key)s, 0))

-- name: import_minutes
-- The minutes that the staged trades come to, oldest first; prices and amounts as text, with every digit.
-- Parameter: counted (whether the number of trades is known; else it is 0).
SELECT minute AS start, (array_agg(price ORDER BY row_number))[1]::text AS open, max(price)::text AS high, min(price)::text AS low,
       (array_agg(price ORDER BY row_number DESC))[1]::text AS close, sum(volume)::text AS volume,
       CASE WHEN %(counted)s THEN sum(coalesce(trade_count, 1))::bigint ELSE 0 END AS trade_count, min(row_number) AS number
FROM (
    SELECT date_bin(interval '1 minute', timestamptz 'epoch' + microseconds * interval '1 microsecond', 'epoch') AS minute,
           price, volume, trade_count, row_number
    FROM import_trades
) AS trades
GROUP BY minute
ORDER BY minute

-- name: import_minutes_held
-- Which minutes the staged rows at fault may belong to: their own, or where their time cannot be read those of the rows
-- before and after them. Parameter: rows.
SELECT row_number, coalesce(minute, before, after) AS since, coalesce(minute, after, before) AS until,
       minute IS NOT NULL AS placed
FROM (
    SELECT row_number, minute,
           max(minute) OVER (ORDER BY row_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
           min(minute) OVER (ORDER BY row_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS after
    FROM (
        SELECT row_number,
               CASE WHEN age_s >= 0 THEN
                   date_bin(interval '1 minute', timestamptz 'epoch' + microseconds * interval '1 microsecond', 'epoch')
               END AS minute
        FROM import_trades
    ) AS timed
) AS placed
WHERE row_number = ANY(%(rows)s) AND coalesce(minute, before, after) IS NOT NULL
ORDER BY row_number

-- name: import_progress_advance
-- Moves the position of an import on, in the transaction that stores the rows before it.
-- Parameters: fingerprint, kind, exchange, symbol, bytes_read, rows_read; stored, known, quarantined (of this part);
-- first_ts, last_ts (of what was stored, or null), candles (whether its candles are still to be made).
UPDATE import_progress
SET bytes_read = %(bytes_read)s,
    rows_read = %(rows_read)s,
    rows_stored = rows_stored + %(stored)s,
    rows_known = rows_known + %(known)s,
    rows_quarantined = rows_quarantined + %(quarantined)s,
    first_ts = least(first_ts, %(first_ts)s),
    last_ts = greatest(last_ts, %(last_ts)s),
    candles_from = CASE WHEN %(candles)s THEN least(candles_from, %(first_ts)s) ELSE candles_from END,
    candles_until = CASE WHEN %(candles)s THEN greatest(candles_until, %(last_ts)s) ELSE candles_until END,
    updated_at = now()
WHERE fingerprint = %(fingerprint)s AND kind = %(kind)s AND exchange = %(exchange)s AND symbol = %(symbol)s

-- name: import_progress_begin
-- Where the import of a file stands; a new row where it was never begun.
-- Parameters: fingerprint, kind, exchange, symbol, file, format, timeframe.
INSERT INTO import_progress AS known (fingerprint, kind, exchange, symbol, file, format, timeframe)
VALUES (%(fingerprint)s, %(kind)s, %(exchange)s, %(symbol)s, %(file)s, %(format)s, %(timeframe)s)
ON CONFLICT (fingerprint, kind, exchange, symbol) DO UPDATE
    SET file = excluded.file,
        status = CASE known.status WHEN 'completed' THEN 'completed' ELSE 'in_progress' END,
        error_message = NULL,
        updated_at = now()
RETURNING status, bytes_read, rows_read, rows_stored, rows_known, rows_quarantined, first_ts, last_ts, candles_from,
          candles_until

-- name: import_progress_candles
-- Narrows the range whose candles are still to be made from imported trades; nulls: there is none.
-- Parameters: fingerprint, kind, exchange, symbol, candles_from, candles_until.
UPDATE import_progress
SET candles_from = %(candles_from)s, candles_until = %(candles_until)s, updated_at = now()
WHERE fingerprint = %(fingerprint)s AND kind = %(kind)s AND exchange = %(exchange)s AND symbol = %(symbol)s

-- name: import_progress_finish
-- What became of the import of a file. Parameters: fingerprint, kind, exchange, symbol, status, error_message.
UPDATE import_progress
SET status = %(status)s, error_message = %(error_message)s, updated_at = now()
WHERE fingerprint = %(fingerprint)s AND kind = %(kind)s AND exchange = %(exchange)s AND symbol = %(symbol)s

-- name: import_trades_compare
-- The staged trades whose id is stored already or comes earlier in the file: the same trade once more (no words), or
-- another one and how it differs. An archive may give microseconds of what the stream gave in milliseconds, and a
-- floating-point number of what it gave in decimals.
-- Parameters: exchange, pair, since, until.
WITH known AS (
    SELECT trade_id, price, volume, side, (extract(epoch FROM "timestamp") * 1000000)::bigint AS microseconds,
           'stored' AS place, 0::bigint AS row_number
    FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s
      AND "timestamp" >= %(since)s::timestamptz - interval '1 minute'
      AND "timestamp" <= %(until)s::timestamptz + interval '1 minute'
    UNION ALL
    SELECT DISTINCT ON (trade_id) trade_id, price, volume, side, microseconds, 'in the file before', row_number
    FROM import_trades
    WHERE trade_id IN (SELECT trade_id FROM import_trades GROUP BY trade_id HAVING count(*) > 1)
    ORDER BY trade_id, row_number
)
SELECT DISTINCT ON (staged.row_number)
       staged.row_number,
       CASE WHEN staged.side <> known.side OR abs(staged.price - known.price) > known.price * 1e-12
                 OR abs(staged.volume - known.volume) > known.volume * 1e-12
                 OR abs(staged.microseconds - known.microseconds) >= 1000
           THEN format('trade %%s is %%s: %%s %%s at %%s, %%s', staged.trade_id, known.place, known.side, known.volume,
                       known.price, to_char(to_timestamp(known.microseconds / 1e6), 'YYYY-MM-DD HH24:MI:SS.US'))
       END AS difference
FROM import_trades AS staged
JOIN known ON known.trade_id = staged.trade_id AND known.row_number < staged.row_number
ORDER BY staged.row_number, known.row_number

-- name: import_trades_drop
-- Takes rows out of the staged ones. Parameter: rows.
DELETE FROM import_trades WHERE row_number = ANY(%(rows)s)

-- name: import_trades_insert
-- Publishes the staged trades; none of them may be stored yet. Parameters: exchange, pair.
INSERT INTO trade_data ("timestamp", exchange, pair, trade_id, price, volume, side)
SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond', %(exchange)s, %(pair)s, trade_id, price, volume, side
FROM import_trades

-- name: import_trades_insert_new
-- Publishes the staged trades, but for those that are stored meanwhile. Parameters: exchange, pair.
INSERT INTO trade_data ("timestamp", exchange, pair, trade_id, price, volume, side)
SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond', %(exchange)s, %(pair)s, trade_id, price, volume, side
FROM import_trades
ON CONFLICT DO NOTHING

-- name: import_trades_numbering
-- A stored trade whose id shows that the staged ones are numbered in another way, and the ids of these; no row: there is
-- none. An exchange's ids grow with time: what is stored a second before, or after, must have a lower, or higher, id than
-- some of the staged, and most of what is stored in between an id in between.
-- Parameters: exchange, pair, since, until (of the staged trades).
WITH staged AS (
    SELECT min(trade_id) AS first, max(trade_id) AS last FROM import_trades
), before AS (
    SELECT "timestamp", trade_id FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s AND "timestamp" < %(since)s::timestamptz - interval '1 second'
    ORDER BY "timestamp" DESC LIMIT 1
), after AS (
    SELECT "timestamp", trade_id FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s AND "timestamp" > %(until)s::timestamptz + interval '1 second'
    ORDER BY "timestamp" LIMIT 1
), inside AS (
    SELECT min("timestamp") FILTER (WHERE odd) AS "timestamp", min(trade_id) FILTER (WHERE odd) AS trade_id
    FROM (
        SELECT "timestamp", trade_id, trade_id NOT BETWEEN staged.first AND staged.last AS odd
        FROM trade_data, staged
        WHERE exchange = %(exchange)s AND pair = %(pair)s
          AND "timestamp" > %(since)s::timestamptz + interval '1 second'
          AND "timestamp" < %(until)s::timestamptz - interval '1 second'
    ) AS stored
    HAVING count(*) FILTER (WHERE odd) * 2 > count(*)
)
SELECT stored."timestamp", stored.trade_id, staged.first, staged.last
FROM staged, (
    SELECT before.* FROM before, staged WHERE before.trade_id > staged.last
    UNION ALL
    SELECT after.* FROM after, staged WHERE after.trade_id < staged.first
    UNION ALL
    SELECT inside.* FROM inside
) AS stored
LIMIT 1

-- name: import_trades_overlap
-- Whether there may be trades among those staged that are stored already. Parameters: exchange, pair, since, until.
SELECT EXISTS (
    SELECT FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s
      AND "timestamp" >= %(since)s::timestamptz - interval '1 millisecond'
      AND "timestamp" <= %(until)s::timestamptz + interval '1 millisecond'
)

-- name: import_trades_staging
-- Where the rows of one part of a file wait to be judged. Seen by this connection only, and gone with it.
CREATE TEMPORARY TABLE IF NOT EXISTS import_trades (
    row_number bigint NOT NULL,
    microseconds bigint,
    age_s double precision,
    trade_id bigint,
    price numeric,
    volume numeric,
    side text,
    trade_count bigint,
    unreadable text
)

-- name: import_undecided
-- Whether rows of an imported file wait in quarantine for a decision. Parameters: file.
SELECT EXISTS (
    SELECT FROM quarantine
    WHERE quarantine_is_open(quarantine) AND origin ->> 'file' = %(file)s
)
