-- The months of each series that are to leave the database. Parameters: subject (candles or indicators), now.
SELECT exchange, symbol, timeframe, since, until FROM due_for_archive(%(subject)s, %(now)s)
