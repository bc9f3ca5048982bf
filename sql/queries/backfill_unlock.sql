-- Lets go of the history of a series. Parameters: exchange, symbol, timeframe.
SELECT pg_advisory_unlock(hashtextextended('backfill:' || %(exchange)s || ':' || %(symbol)s || ':' || %(timeframe)s, 0))
