-- Rows to be judged once more.
-- Parameters: subject, numbers.
UPDATE staging SET passed_at = NULL WHERE subject = %(subject)s AND number = ANY(%(numbers)s)
