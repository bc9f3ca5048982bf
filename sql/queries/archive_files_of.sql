-- The file of one series and range. Parameters: subject, exchange, symbol, timeframe, since.
SELECT path, revision, sha256 FROM archive_files
WHERE subject = %(subject)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
  AND since = %(since)s
