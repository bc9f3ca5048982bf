-- Deletes a batch of what is older from quality_results.
-- Parameters: before, batch.
DELETE FROM quality_results
WHERE ctid = ANY(ARRAY(SELECT ctid FROM quality_results WHERE evaluated_at < %(before)s LIMIT %(batch)s))
