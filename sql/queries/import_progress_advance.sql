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
