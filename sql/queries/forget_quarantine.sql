-- Deletes a batch of what is older from quarantine, but for rows of files that nobody has decided: until somebody does, their
-- minutes are not known.
-- Parameters: before, batch.
DELETE FROM quarantine
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM quarantine
    WHERE last_seen_at < %(before)s
      AND (subject <> 'trades_import' OR released_at IS NOT NULL OR discarded_at IS NOT NULL)
    LIMIT %(batch)s))
