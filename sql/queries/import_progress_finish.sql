-- What became of the import of a file. Parameters: fingerprint, kind, exchange, symbol, status, error_message.
UPDATE import_progress
SET status = %(status)s, error_message = %(error_message)s, updated_at = now()
WHERE fingerprint = %(fingerprint)s AND kind = %(kind)s AND exchange = %(exchange)s AND symbol = %(symbol)s
