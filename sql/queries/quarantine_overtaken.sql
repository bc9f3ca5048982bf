-- Open rows of what has been published since, from another answer, are resolved. Parameters: subject, keys, actor.
UPDATE quarantine
SET released_at = clock_timestamp(), resolved_by = %(actor)s
WHERE subject = %(subject)s AND key = ANY(%(keys)s::text[]) AND released_at IS NULL AND discarded_at IS NULL
