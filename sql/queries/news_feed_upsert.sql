-- How a feed answered now, and what to ask it with next time.
-- Parameters: name, url, etag, last_modified, not_before, at, status, reason; succeeded, failed (booleans).
INSERT INTO news_feed_states AS known (
    name, url, etag, last_modified, not_before, checked_at, status, reason, succeeded_at, failures
)
VALUES (
    %(name)s, %(url)s, %(etag)s, %(last_modified)s, %(not_before)s, %(at)s, %(status)s, %(reason)s,
    CASE WHEN %(succeeded)s THEN %(at)s::timestamptz END,
    %(failed)s::boolean::integer
)
ON CONFLICT (name) DO UPDATE
    SET url = excluded.url,
        etag = excluded.etag,
        last_modified = excluded.last_modified,
        not_before = excluded.not_before,
        checked_at = excluded.checked_at,
        status = excluded.status,
        reason = excluded.reason,
        succeeded_at = coalesce(excluded.succeeded_at, known.succeeded_at),
        failures = CASE WHEN %(succeeded)s THEN 0 ELSE known.failures + excluded.failures END
