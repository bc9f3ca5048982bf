-- The ids of what is open of a subject, the oldest first.
-- Parameters: subject.
SELECT id FROM quarantine WHERE subject = %(subject)s AND released_at IS NULL AND discarded_at IS NULL ORDER BY id
