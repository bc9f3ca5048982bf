-- Which of these guids and links have stood for several articles.
-- Parameters: website, name (arrays of one length).
SELECT website, name
FROM shared_article_names
JOIN (
    SELECT DISTINCT website, name
    FROM unnest(%(website)s::text[], %(name)s::text[]) AS pairs (website, name)
) AS asked USING (website, name)
