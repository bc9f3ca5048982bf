-- Deletes a batch of what is older from stream_events.
-- Parameters: before, batch.
DELETE FROM stream_events
WHERE ctid = ANY(ARRAY(SELECT ctid FROM stream_events WHERE at < %(before)s LIMIT %(batch)s))
