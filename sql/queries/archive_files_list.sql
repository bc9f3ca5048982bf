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
