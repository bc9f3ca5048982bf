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
