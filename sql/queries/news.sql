-- What is known of feeds, their pages and articles.

-- name: article_first_published
-- When these articles were first published, as far as they are known, and whether their publisher said so: a revision
-- without a date has the time at which it was first seen.
-- Parameters: website, name (arrays of one length).
SELECT website, article_id, published_at, published_at <> first_seen AS known
FROM article_revisions
JOIN (
    SELECT DISTINCT website, article_id
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, article_id)
) AS wanted USING (website, article_id)
WHERE revision = 1

-- name: article_revisions_insert
-- Revisions that nobody knew.
-- Parameters: at; website, article_id, revision, digest, published_at, title, url (arrays of one length).
INSERT INTO article_revisions (website, article_id, revision, digest, published_at, title, url, first_seen)
SELECT website, article_id, revision, digest, published_at, title, url, %(at)s
FROM unnest(
    %(website)s::text[], %(article_id)s::text[], %(revision)s::integer[], %(digest)s::text[],
    %(published_at)s::timestamptz[], %(title)s::text[], %(url)s::text[]
) AS seen (website, article_id, revision, digest, published_at, title, url)

-- name: article_revisions_known
-- What is known under these names.
-- Parameters: website, name (arrays of one length).
SELECT website, article_id, revision, digest, url, title
FROM article_revisions
JOIN (
    SELECT DISTINCT website, article_id
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, article_id)
) AS wanted USING (website, article_id)

-- name: news_feed_states
-- What is remembered of every feed.
SELECT name, url, etag, last_modified, not_before
FROM news_feed_states

-- name: news_feed_upsert
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

-- name: news_lock
-- One poll at a time numbers revisions, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('cryptoviz.news'), 0)

-- name: robots_forget
-- Sites that nobody has read for a month.
-- Parameters: at.
DELETE FROM robots_cache
WHERE expires_at < %(at)s::timestamptz - interval '30 days'

-- name: robots_known
-- What sites let robots read.
SELECT origin, body, fetched_at, expires_at
FROM robots_cache

-- name: robots_upsert
-- A robots.txt that was read.
-- Parameters: origin, body, fetched_at, expires_at.
INSERT INTO robots_cache (origin, body, fetched_at, expires_at)
VALUES (%(origin)s, %(body)s, %(fetched_at)s, %(expires_at)s)
ON CONFLICT (origin) DO UPDATE
    SET body = excluded.body,
        fetched_at = excluded.fetched_at,
        expires_at = excluded.expires_at

-- name: shared_names_insert
-- Guids and links that stand for several articles.
-- Parameters: at; website, name (arrays of one length).
INSERT INTO shared_article_names (website, name, first_seen)
SELECT DISTINCT website, name, %(at)s::timestamptz
FROM unnest(%(website)s::text[], %(name)s::text[]) AS seen (website, name)
ON CONFLICT DO NOTHING

-- name: shared_names_known
-- Which of these guids and links have stood for several articles.
-- Parameters: website, name (arrays of one length).
SELECT website, name
FROM shared_article_names
JOIN (
    SELECT DISTINCT website, name
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, name)
) AS wanted USING (website, name)
