-- Keeps others from importing the same file at the same time, until the connection ends; false: somebody does.
-- Parameter: key.
SELECT pg_try_advisory_lock(hashtextextended('import:' || %(key)s, 0))
