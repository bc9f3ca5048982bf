-- Something is wrong: opens an alert, or counts once more on the open one of this kind and subject, whose severity,
-- message and detail become these. `new` says which. Parameters: kind, subject, severity, message, detail.
INSERT INTO platform_alerts AS alert (kind, subject, severity, message, detail)
VALUES (%(kind)s, %(subject)s, %(severity)s, %(message)s, %(detail)s)
ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO UPDATE
    SET occurrences = alert.occurrences + 1, last_seen_at = greatest(excluded.last_seen_at, alert.last_seen_at),
        severity = excluded.severity, message = excluded.message, detail = excluded.detail
RETURNING occurrences = 1 AS new, occurrences, opened_at
