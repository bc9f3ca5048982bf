-- Deletes a batch of keys of a subject that were published before: from then on they would be staged again.
-- Parameters: subject, before, batch.
DELETE FROM published_keys
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM published_keys WHERE subject = %(subject)s AND published_at < %(before)s LIMIT %(batch)s
))
