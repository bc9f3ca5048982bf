-- When these articles were first published, as far as they are known, and whether their publisher said so: a revision
-- without a date has the time at which it was first seen.
-- Parameters: website, name (arrays of one length).
SELECT website, article_id, published_at, published_at <> first_seen AS known
FROM article_revisions
JOIN (
    SELECT DISTINCT website, article_id
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, article_id)
) AS asked USING (website, article_id)
WHERE revision = 1
