-- The rows of a file are back until then, or until later where that was said before. Parameters: path, until.
UPDATE archive_files SET restored_until = greatest(restored_until, %(until)s) WHERE path = %(path)s
RETURNING restored_until
