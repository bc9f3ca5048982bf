-- A robots.txt that was read.
-- Parameters: origin, body, fetched_at, expires_at.
INSERT INTO robots_cache (origin, body, fetched_at, expires_at)
VALUES (%(origin)s, %(body)s, %(fetched_at)s, %(expires_at)s)
ON CONFLICT (origin) DO UPDATE
    SET body = excluded.body,
        fetched_at = excluded.fetched_at,
        expires_at = excluded.expires_at
