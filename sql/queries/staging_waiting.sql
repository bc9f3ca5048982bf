-- What waits to be judged, in the order it came.
-- Parameters: subject, most.
SELECT number, key, series, payload, origin, run
FROM staging
WHERE subject = %(subject)s AND passed_at IS NULL
ORDER BY number
LIMIT %(most)s
