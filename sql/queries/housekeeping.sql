-- What the platform forgets of its own records.

-- name: forget_platform_alerts
-- Deletes a batch of alerts that were closed before; open ones stay.
-- Parameters: before, batch.
DELETE FROM platform_alerts
WHERE ctid = ANY(ARRAY(SELECT ctid FROM platform_alerts WHERE closed_at < %(before)s LIMIT %(batch)s))

-- name: forget_published_keys
-- Deletes a batch of keys of a subject that were published before: from then on they would be staged again.
-- Parameters: subject, before, batch.
DELETE FROM published_keys
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM published_keys WHERE subject = %(subject)s AND published_at < %(before)s LIMIT %(batch)s
))

-- name: forget_quality_documents
-- Deletes a batch of what is older from quality_documents.
-- Parameters: before, batch.
DELETE FROM quality_documents
WHERE ctid = ANY(ARRAY(SELECT ctid FROM quality_documents WHERE evaluated_at < %(before)s LIMIT %(batch)s))

-- name: forget_quality_results
-- Deletes a batch of what is older from quality_results.
-- Parameters: before, batch.
DELETE FROM quality_results
WHERE ctid = ANY(ARRAY(SELECT ctid FROM quality_results WHERE evaluated_at < %(before)s LIMIT %(batch)s))

-- name: forget_quarantine
-- Deletes a batch of what is older from quarantine, but for rows of files that nobody has decided: until somebody does, their
-- minutes are not known.
-- Parameters: before, batch.
DELETE FROM quarantine
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM quarantine
    WHERE last_seen_at < %(before)s
      AND (subject <> 'trades_import' OR released_at IS NOT NULL OR discarded_at IS NOT NULL)
    LIMIT %(batch)s))

-- name: forget_stream_events
-- Deletes a batch of what is older from stream_events.
-- Parameters: before, batch.
DELETE FROM stream_events
WHERE ctid = ANY(ARRAY(SELECT ctid FROM stream_events WHERE at < %(before)s LIMIT %(batch)s))
