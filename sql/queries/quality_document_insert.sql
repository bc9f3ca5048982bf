-- The validation of an asset: it takes the place of the one before if that is of the same hour, failed the same
-- expectations, and was not the first to do so.
-- Parameters: asset, run, suite, success, failed, document, evaluated_at.
WITH before AS (
    SELECT evaluated_at, failed, turned
    FROM quality_documents
    WHERE asset = %(asset)s
    ORDER BY evaluated_at DESC
    LIMIT 1
),
replaced AS (
    DELETE FROM quality_documents
    USING before
    WHERE quality_documents.asset = %(asset)s
        AND quality_documents.evaluated_at = before.evaluated_at
        AND before.failed = %(failed)s::text[]
        AND NOT before.turned
        AND date_trunc('hour', before.evaluated_at) = date_trunc('hour', %(evaluated_at)s::timestamptz)
)
INSERT INTO quality_documents (asset, evaluated_at, run, suite, success, failed, turned, document)
SELECT %(asset)s, %(evaluated_at)s, %(run)s, %(suite)s, %(success)s, %(failed)s,
       NOT EXISTS (SELECT FROM before WHERE failed = %(failed)s::text[]), %(document)s::jsonb
