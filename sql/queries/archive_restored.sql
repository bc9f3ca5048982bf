-- Whether rows of a piece were restored and stay. Parameters: subject, since, exchange, symbol, timeframe, now.
SELECT FROM archive_files
WHERE subject = %(subject)s AND since = %(since)s AND restored_until > %(now)s
  AND %(exchange)s IN ('', exchange) AND %(symbol)s IN ('', symbol) AND %(timeframe)s IN ('', timeframe)
LIMIT 1
