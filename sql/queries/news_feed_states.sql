-- What is remembered of every feed.
SELECT name, url, etag, last_modified, not_before
FROM news_feed_states
