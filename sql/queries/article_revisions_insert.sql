-- Revisions that nobody knew.
-- Parameters: at; website, article_id, revision, digest, published_at, title, url (arrays of one length).
INSERT INTO article_revisions (website, article_id, revision, digest, published_at, title, url, first_seen)
SELECT website, article_id, revision, digest, published_at, title, url, %(at)s
FROM unnest(
    %(website)s::text[], %(article_id)s::text[], %(revision)s::integer[], %(digest)s::text[],
    %(published_at)s::timestamptz[], %(title)s::text[], %(url)s::text[]
) AS seen (website, article_id, revision, digest, published_at, title, url)
