-- What was restored of a piece has left again. Parameters: subject, since, exchange, symbol, timeframe (empty: all).
UPDATE archive_files SET restored_until = NULL
WHERE subject = %(subject)s AND since = %(since)s AND restored_until IS NOT NULL
  AND %(exchange)s IN ('', exchange) AND %(symbol)s IN ('', symbol) AND %(timeframe)s IN ('', timeframe)
