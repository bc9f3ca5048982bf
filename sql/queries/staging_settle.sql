-- Judged rows: those that passed wait for the broker, the others leave.
-- Parameters: subject; passed, held (numbers).
WITH left_behind AS (
    DELETE FROM staging WHERE subject = %(subject)s AND number = ANY(%(held)s)
)
UPDATE staging SET passed_at = clock_timestamp() WHERE subject = %(subject)s AND number = ANY(%(passed)s)
