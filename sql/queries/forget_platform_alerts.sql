-- Deletes a batch of alerts that were closed before; open ones stay.
-- Parameters: before, batch.
DELETE FROM platform_alerts
WHERE ctid = ANY(ARRAY(SELECT ctid FROM platform_alerts WHERE closed_at < %(before)s LIMIT %(batch)s))
