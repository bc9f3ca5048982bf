-- Guids and links that stand for several articles.
-- Parameters: at; website, name (arrays of one length).
INSERT INTO shared_article_names (website, name, first_seen)
SELECT DISTINCT website, name, %(at)s::timestamptz
FROM unnest(%(website)s::text[], %(name)s::text[]) AS seen (website, name)
ON CONFLICT DO NOTHING
