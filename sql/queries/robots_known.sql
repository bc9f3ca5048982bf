-- What sites let robots read.
SELECT origin, body, fetched_at, expires_at
FROM robots_cache
