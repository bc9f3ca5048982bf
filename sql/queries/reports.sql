-- What the static site shows.

-- name: report_change
-- When other expectations of some asset last failed than the time before, or an asset was judged for the first time.
SELECT evaluated_at FROM quality_documents WHERE turned ORDER BY evaluated_at DESC LIMIT 1

-- name: report_document
-- One validation document.
-- Parameters: asset, evaluated_at.
SELECT document FROM quality_documents WHERE asset = %(asset)s AND evaluated_at = %(evaluated_at)s

-- name: report_documents
-- The validation documents since an instant, at most so many of an asset, without their text.
-- Parameters: since, most. The newest first.
SELECT asset, evaluated_at, run, suite, success, failed
FROM (
    SELECT asset, evaluated_at, run, suite, success, failed,
           row_number() OVER (PARTITION BY asset ORDER BY evaluated_at DESC) AS place
    FROM quality_documents
    WHERE evaluated_at >= %(since)s
) AS documents
WHERE place <= %(most)s
ORDER BY evaluated_at DESC, asset

-- name: report_failures
-- What failed since an instant, by asset, expectation and day: how often, from when to when, and at most how many rows.
-- Parameters: since, most. The newest first.
SELECT asset, suite, expectation, severity, (evaluated_at AT TIME ZONE 'UTC')::date AS day,
       count(*) AS times, min(evaluated_at) AS first_at, max(evaluated_at) AS last_at,
       max(unexpected_count) AS most_rows
FROM quality_results
WHERE evaluated_at >= %(since)s AND NOT success AND severity <> 'info'
GROUP BY asset, suite, expectation, severity, day
ORDER BY last_at DESC, asset, expectation
LIMIT %(most)s

-- name: report_newest
-- The newest judgement of each asset: every expectation of its newest run. Looks up one asset after the other in the
-- index, however many results are kept.
WITH RECURSIVE assets (asset) AS (
    (SELECT asset FROM quality_results ORDER BY asset LIMIT 1)
    UNION ALL
    SELECT (SELECT asset FROM quality_results WHERE asset > assets.asset ORDER BY asset LIMIT 1)
    FROM assets
    WHERE assets.asset IS NOT NULL
)
SELECT result.asset, result.suite, result.run, result.expectation, result.severity, result.success,
       result.observed, result.unexpected_count, result.evaluated_at
FROM assets
CROSS JOIN LATERAL (
    SELECT run FROM quality_results WHERE asset = assets.asset ORDER BY evaluated_at DESC LIMIT 1
) AS newest
JOIN quality_results AS result ON result.run = newest.run AND result.asset = assets.asset
ORDER BY result.asset, result.expectation

-- name: report_quarantine
-- For each subject: the rows in quarantine by state, and when one was last seen.
SELECT subject,
       count(*) FILTER (WHERE quarantine_is_open(quarantine)) AS open,
       count(*) FILTER (WHERE released_at IS NOT NULL) AS released,
       count(*) FILTER (WHERE discarded_at IS NOT NULL) AS discarded,
       coalesce(sum(occurrences) FILTER (WHERE quarantine_is_open(quarantine)), 0)::bigint AS occurrences,
       max(last_seen_at) AS last_seen_at
FROM quarantine
GROUP BY subject
ORDER BY subject

-- name: report_quarantine_rows
-- The rows of a subject in quarantine: open ones or resolved ones, those last seen first.
-- Parameters: subject, open, most.
SELECT id, key, reason, expectation, payload, origin, run, created_at, last_seen_at, occurrences,
       released_at, discarded_at, resolved_by
FROM quarantine
WHERE subject = %(subject)s AND quarantine_is_open(quarantine) = %(open)s
ORDER BY coalesce(released_at, discarded_at, last_seen_at) DESC, id DESC
LIMIT %(most)s

-- name: report_quarantined
-- For each subject and hour since an instant: how many rows came into quarantine.
-- Parameters: since.
SELECT subject, date_trunc('hour', created_at) AS hour, count(*) AS rows
FROM quarantine
WHERE created_at >= %(since)s
GROUP BY subject, hour
ORDER BY subject, hour

-- name: report_trend
-- For each asset and hour since an instant: how many runs passed their gate, and how many did not.
-- Parameters: since.
SELECT asset, date_trunc('hour', at) AS hour,
       count(*) FILTER (WHERE NOT failed) AS passed,
       count(*) FILTER (WHERE failed) AS failed
FROM (
    SELECT asset, run, max(evaluated_at) AS at, bool_or(NOT success AND severity <> 'info') AS failed
    FROM quality_results
    WHERE evaluated_at >= %(since)s
    GROUP BY asset, run
) AS runs
GROUP BY asset, hour
ORDER BY asset, hour
