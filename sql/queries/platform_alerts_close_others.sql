-- Closes the open alerts of these kinds about anything but these subjects: nobody looks at it any more.
-- Parameters: kinds, subjects.
UPDATE platform_alerts
SET closed_at = greatest(clock_timestamp(), opened_at)
WHERE kind = ANY(%(kinds)s) AND subject <> ALL(%(subjects)s) AND closed_at IS NULL
