-- The validation documents since an instant, without their text.
-- Parameters: since. The newest first.
SELECT asset, evaluated_at, run, suite, success, failed
FROM quality_documents
WHERE evaluated_at >= %(since)s
ORDER BY evaluated_at DESC, asset
