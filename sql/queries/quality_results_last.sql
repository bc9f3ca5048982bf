-- The results of the last audit of an asset.
-- Parameters: asset.
SELECT expectation, severity, success, observed, unexpected_count
FROM quality_results
WHERE asset = %(asset)s
    AND evaluated_at = (SELECT max(evaluated_at) FROM quality_results WHERE asset = %(asset)s)
