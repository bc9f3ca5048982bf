-- Whether this session is the one that changes the archive now.
SELECT pg_try_advisory_lock(hashtextextended('cryptoviz:archive', 0))
