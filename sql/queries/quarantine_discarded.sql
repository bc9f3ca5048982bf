-- Which of these keys somebody has discarded. Parameters: subject, keys.
SELECT key FROM quarantine WHERE subject = %(subject)s AND key = ANY(%(keys)s::text[]) AND discarded_at IS NOT NULL
