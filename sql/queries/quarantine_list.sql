-- Rows in quarantine, the last seen first.
-- Parameters: subject (empty: every), all (resolved ones too), limit.
SELECT id, subject, series, expectation, reason, occurrences, created_at, last_seen_at,
       CASE WHEN released_at IS NOT NULL THEN 'released' WHEN discarded_at IS NOT NULL THEN 'discarded' ELSE 'open' END
           AS state
FROM quarantine
WHERE (%(subject)s::text IS NULL OR subject = %(subject)s)
    AND (%(all)s OR (released_at IS NULL AND discarded_at IS NULL))
ORDER BY last_seen_at DESC, id DESC
LIMIT %(limit)s
