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
