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
