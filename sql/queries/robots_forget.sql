-- Sites that nobody has read for a month.
-- Parameters: at.
DELETE FROM robots_cache
WHERE expires_at < %(at)s::timestamptz - interval '30 days'
