-- The broker has these: they leave the outbox and are remembered.
-- Parameters: subject, numbers.
WITH delivered AS (
    DELETE FROM staging WHERE subject = %(subject)s AND number = ANY(%(numbers)s) RETURNING subject, key
)
INSERT INTO published_keys (subject, key)
SELECT subject, key FROM delivered
ON CONFLICT (subject, key) DO UPDATE SET published_at = excluded.published_at
