-- Deletes a batch of what is older from quality_documents.
-- Parameters: before, batch.
DELETE FROM quality_documents
WHERE ctid = ANY(ARRAY(SELECT ctid FROM quality_documents WHERE evaluated_at < %(before)s LIMIT %(batch)s))
