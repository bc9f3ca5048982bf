-- The newest judgement of each asset: every expectation of its newest run. Looks up one asset after the other in the
-- index, however many results are kept.
WITH RECURSIVE judged (asset) AS (
    (SELECT asset FROM quality_results ORDER BY asset LIMIT 1)
    UNION ALL
    SELECT (SELECT asset FROM quality_results WHERE asset > judged.asset ORDER BY asset LIMIT 1)
    FROM judged
    WHERE judged.asset IS NOT NULL
)
SELECT result.asset, result.suite, result.run, result.expectation, result.severity, result.success,
       result.observed, result.unexpected_count, result.evaluated_at
FROM judged
CROSS JOIN LATERAL (
    SELECT run FROM quality_results WHERE asset = judged.asset ORDER BY evaluated_at DESC LIMIT 1
) AS newest
JOIN quality_results AS result ON result.run = newest.run AND result.asset = judged.asset
ORDER BY result.asset, result.expectation
