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
