-- Waits until this connection may work on the history of a series; it keeps that until it lets go or ends.
-- Parameters: exchange, symbol, timeframe.
SELECT pg_advisory_lock(hashtextextended('backfill:' || %(exchange)s || ':' || %(symbol)s || ':' || %(timeframe)s, 0))
