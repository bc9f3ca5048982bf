-- When these articles were first published, as far as they are known.
-- Parameters: website, name (arrays of one length).
SELECT website, article_id, published_at
FROM article_revisions
JOIN (
    SELECT DISTINCT website, article_id
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, article_id)
) AS asked USING (website, article_id)
WHERE revision = 1
