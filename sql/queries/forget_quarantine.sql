-- Deletes a batch of what is older from quarantine.
-- Parameters: before, batch.
DELETE FROM quarantine
WHERE ctid = ANY(ARRAY(SELECT ctid FROM quarantine WHERE last_seen_at < %(before)s LIMIT %(batch)s))
