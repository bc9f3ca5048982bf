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
