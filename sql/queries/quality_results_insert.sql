-- The results of one audit; those of another attempt of the same run are replaced.
-- Parameters: run, asset, suite, evaluated_at; expectation, severity, success, observed, unexpected_count (arrays).
INSERT INTO quality_results (
    run, asset, suite, expectation, severity, success, observed, unexpected_count, evaluated_at
)
SELECT %(run)s, %(asset)s, %(suite)s, expectation, severity, success, observed, unexpected_count, %(evaluated_at)s
FROM unnest(
    %(expectation)s::text[], %(severity)s::text[], %(success)s::boolean[], %(observed)s::jsonb[],
    %(unexpected_count)s::bigint[]
) AS results (expectation, severity, success, observed, unexpected_count)
ON CONFLICT (run, asset, expectation) DO UPDATE
    SET suite = excluded.suite,
        severity = excluded.severity,
        success = excluded.success,
        observed = excluded.observed,
        unexpected_count = excluded.unexpected_count,
        evaluated_at = excluded.evaluated_at
