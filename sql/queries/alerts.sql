-- Alerts about the platform, and who did what by hand.

-- name: platform_alert_close
-- It is over: closes the open alert of this kind and subject; no row comes back when none is open.
-- Parameters: kind, subject.
UPDATE platform_alerts
SET closed_at = greatest(clock_timestamp(), opened_at)
WHERE kind = %(kind)s AND subject = %(subject)s AND closed_at IS NULL
RETURNING opened_at, closed_at, occurrences

-- name: platform_alert_raise
-- Something is wrong: opens an alert, or counts once more on the open one of this kind and subject, whose severity,
-- message and detail become these. `new` says which. Parameters: kind, subject, severity, message, detail.
INSERT INTO platform_alerts AS alert (kind, subject, severity, message, detail)
VALUES (%(kind)s, %(subject)s, %(severity)s, %(message)s, %(detail)s)
ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO UPDATE
    SET occurrences = alert.occurrences + 1, last_seen_at = greatest(excluded.last_seen_at, alert.last_seen_at),
        severity = excluded.severity, message = excluded.message, detail = excluded.detail
RETURNING occurrences = 1 AS new, occurrences, opened_at

-- name: platform_alerts_close_others
-- Closes the open alerts of these kinds about anything but these subjects: nobody looks at it any more.
-- Parameters: kinds, subjects.
UPDATE platform_alerts
SET closed_at = greatest(clock_timestamp(), opened_at)
WHERE kind = ANY(%(kinds)s) AND subject <> ALL(%(subjects)s) AND closed_at IS NULL

-- name: action_log_begin
-- Somebody begins to do something. Parameters: actor, action, subject, detail.
INSERT INTO action_log (actor, action, subject, detail)
VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)
RETURNING id

-- name: action_log_finish
-- What came of it. Parameters: id, detail (added to what is there).
UPDATE action_log SET detail = detail || %(detail)s WHERE id = %(id)s
