-- Lets another session change the archive.
SELECT pg_advisory_unlock(hashtextextended('cryptoviz:archive', 0))
