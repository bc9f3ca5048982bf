-- Writes down what was found of a file. Parameters: path, status.
UPDATE archive_files SET status = %(status)s, verified_at = now() WHERE path = %(path)s
