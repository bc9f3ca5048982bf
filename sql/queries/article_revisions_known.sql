-- What is known under these names.
-- Parameters: website, name (arrays of one length).
SELECT website, article_id, revision, digest, url, title
FROM article_revisions
JOIN (
    SELECT DISTINCT website, article_id
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, article_id)
) AS asked USING (website, article_id)
