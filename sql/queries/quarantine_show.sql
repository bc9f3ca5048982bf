-- One row of quarantine, whole.
-- Parameters: id.
SELECT id, subject, key, series, expectation, reason, payload, origin, run, occurrences, created_at, last_seen_at,
       released_at, discarded_at, resolved_by,
       CASE WHEN released_at IS NOT NULL THEN 'released' WHEN discarded_at IS NOT NULL THEN 'discarded' ELSE 'open' END
           AS state
FROM quarantine
WHERE id = %(id)s
