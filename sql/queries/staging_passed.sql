-- What passed and is not acknowledged yet, in the order it came.
-- Parameters: subject, most.
SELECT number, payload
FROM staging
WHERE subject = %(subject)s AND passed_at IS NOT NULL
ORDER BY number
LIMIT %(most)s
