-- The archive: what leaves the database, and what is in its files.

-- name: archive_border
-- What happened before this is to leave the database; null: nothing is. Parameters: subject, now.
SELECT %(now)s - greatest(hot_age + cold_age, history_age)
FROM tiering_policy
WHERE subject = %(subject)s AND timeframe = ''
UNION ALL
SELECT %(now)s - kept FROM retention_policy WHERE subject = %(subject)s

-- name: archive_columns
-- The columns of a table that can be written, in order, with their types. Parameter: relation.
SELECT attname, format_type(atttypid, NULL)
FROM pg_attribute
WHERE attrelid = %(relation)s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum

-- name: archive_digest
-- How many rows a piece has, and what they come to. Parameters: relation, time, since, until, series (column -> value).
SELECT rows, digest
FROM archive_digest(%(relation)s::regclass, archive_where(%(time)s::name, %(since)s, %(until)s, %(series)s))

-- name: archive_due
-- The months of each series that are to leave the database. Parameters: subject (candles or indicators), now.
SELECT exchange, symbol, timeframe, since, until FROM due_for_archive(%(subject)s, %(now)s)

-- name: archive_files_list
-- The files of the archive that meet what is given (null: any), and touch the range.
-- Parameters: subject, exchange, symbol, timeframe, since, until, status.
SELECT subject, exchange, symbol, timeframe, month, since, until, rows, first_at, last_at, bytes, sha256, schema_version,
       revision, written_at, verified_at, status, restored_until, path
FROM archive_files
WHERE (%(subject)s::text IS NULL OR subject = %(subject)s)
  AND (%(exchange)s::text IS NULL OR exchange = %(exchange)s)
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
  AND (%(since)s::timestamptz IS NULL OR last_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR first_at < %(until)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY subject, exchange, symbol, timeframe, since

-- name: archive_files_of
-- The file of one series and range. Parameters: subject, exchange, symbol, timeframe, since.
SELECT path, revision, sha256 FROM archive_files
WHERE subject = %(subject)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
  AND since = %(since)s

-- name: archive_files_restored
-- The rows of a file are back until then, or until later where that was said before. Parameters: path, until.
UPDATE archive_files SET restored_until = greatest(restored_until, %(until)s) WHERE path = %(path)s
RETURNING restored_until

-- name: archive_files_upsert
-- Enters a file that was read back and compared, in the place of the one before.
INSERT INTO archive_files (subject, exchange, symbol, timeframe, since, until, revision, path, rows, first_at, last_at,
                           bytes, sha256, schema_version)
VALUES (%(subject)s, %(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s, %(revision)s, %(path)s, %(rows)s,
        %(first_at)s, %(last_at)s, %(bytes)s, %(sha256)s, %(schema_version)s)
ON CONFLICT (subject, exchange, symbol, timeframe, since) DO UPDATE
    SET (until, revision, path, rows, first_at, last_at, bytes, sha256, schema_version, written_at, verified_at, status,
         restored_until)
        = (excluded.until, excluded.revision, excluded.path, excluded.rows, excluded.first_at, excluded.last_at,
           excluded.bytes, excluded.sha256, excluded.schema_version, excluded.written_at, excluded.verified_at,
           excluded.status, NULL)

-- name: archive_files_verified
-- Writes down what was found of a file. Parameters: path, status.
UPDATE archive_files SET status = %(status)s, verified_at = now() WHERE path = %(path)s

-- name: archive_left
-- What was restored of a piece has left again. Parameters: subject, since, exchange, symbol, timeframe (empty: all).
UPDATE archive_files SET restored_until = NULL
WHERE subject = %(subject)s AND since = %(since)s AND restored_until IS NOT NULL
  AND %(exchange)s IN ('', exchange) AND %(symbol)s IN ('', symbol) AND %(timeframe)s IN ('', timeframe)

-- name: archive_lock
-- Whether this session is the one that changes the archive now.
SELECT pg_try_advisory_lock(hashtextextended('cryptoviz:archive', 0))

-- name: archive_lock_tiering
-- Nobody moves rows between the tiers until this transaction ends.
SELECT lock_tiering(shared => false)

-- name: archive_oldest
-- The time of the oldest row of a range. Parameters: relation, time (its column), since, until.
SELECT archive_oldest(%(relation)s::regclass, %(time)s::name, %(since)s, %(until)s)

-- name: archive_poorer_candles
-- Takes candles out that are of fewer trades than those archived before, or streamed where those were fetched.
DELETE FROM pg_temp.archive_merged AS new USING pg_temp.archive_copy AS old
WHERE (new.window_start, new.exchange, new.symbol, new.timeframe)
      = (old.window_start, old.exchange, old.symbol, old.timeframe)
  AND new.source = 'stream' AND (old.source = 'rest' OR new.trade_count < old.trade_count)

-- name: archive_poorer_indicators
-- Takes indicators out whose warm-up was not over, where those archived before had theirs behind them.
DELETE FROM pg_temp.archive_merged AS new USING pg_temp.archive_copy AS old
WHERE (new.window_start, new.exchange, new.symbol, new.timeframe)
      = (old.window_start, old.exchange, old.symbol, old.timeframe)
  AND num_nonnulls(new.rsi_14, new.macd_signal, new.bollinger_middle)
      < num_nonnulls(old.rsi_14, old.macd_signal, old.bollinger_middle)

-- name: archive_remove
-- Removes the rows of a piece, if they are still those that were archived.
-- Parameters: relation, time, since, until, series, rows, digest.
SELECT remove_archived(%(relation)s::regclass, %(time)s::name, %(since)s, %(until)s, %(series)s, %(rows)s, %(digest)s)

-- name: archive_restored
-- Whether rows of a piece were restored and stay. Parameters: subject, since, exchange, symbol, timeframe, now.
SELECT FROM archive_files
WHERE subject = %(subject)s AND since = %(since)s AND restored_until > %(now)s
  AND %(exchange)s IN ('', exchange) AND %(symbol)s IN ('', symbol) AND %(timeframe)s IN ('', timeframe)
LIMIT 1

-- name: archive_snapshot
-- All of this transaction sees the database as it is at its first statement.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: archive_unlock
-- Lets another session change the archive.
SELECT pg_advisory_unlock(hashtextextended('cryptoviz:archive', 0))
