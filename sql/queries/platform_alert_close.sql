-- It is over: closes the open alert of this kind and subject; no row comes back when none is open.
-- Parameters: kind, subject.
UPDATE platform_alerts
SET closed_at = greatest(clock_timestamp(), opened_at)
WHERE kind = %(kind)s AND subject = %(subject)s AND closed_at IS NULL
RETURNING opened_at, closed_at, occurrences
