-- The rows of a subject in quarantine: open ones or resolved ones, those last seen first.
-- Parameters: subject, open, most.
SELECT id, key, reason, expectation, payload, origin, run, created_at, last_seen_at, occurrences,
       released_at, discarded_at, resolved_by
FROM quarantine
WHERE subject = %(subject)s AND (released_at IS NULL AND discarded_at IS NULL) = %(open)s
ORDER BY coalesce(released_at, discarded_at, last_seen_at) DESC, id DESC
LIMIT %(most)s
