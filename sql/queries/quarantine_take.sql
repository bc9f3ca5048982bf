-- Rows of quarantine to be resolved; nobody else resolves them until the end of the transaction.
-- Parameters: ids.
SELECT id, subject, key, series, payload, origin,
       CASE WHEN released_at IS NOT NULL THEN 'released' WHEN discarded_at IS NOT NULL THEN 'discarded' ELSE 'open' END
           AS state
FROM quarantine
WHERE id = ANY(%(ids)s)
ORDER BY id
FOR UPDATE
