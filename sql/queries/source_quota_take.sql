-- Take a request out of the quotas of a source: a row for each quota that has it. All or none is the caller's business,
-- by rolling back. A later period begins at zero. Parameters: source, period, starts_at, cost, allowed (arrays).
INSERT INTO source_quotas AS quota (source, period, starts_at, used, allowed)
SELECT %(source)s, asked.period, asked.starts_at, asked.cost, asked.allowed
FROM unnest(%(period)s::text[], %(starts_at)s::timestamptz[], %(cost)s::bigint[], %(allowed)s::bigint[])
    AS asked (period, starts_at, cost, allowed)
WHERE asked.cost <= asked.allowed
ON CONFLICT (source, period) DO UPDATE
SET starts_at = greatest(quota.starts_at, excluded.starts_at),
    used = CASE WHEN quota.starts_at < excluded.starts_at THEN excluded.used ELSE quota.used + excluded.used END,
    allowed = excluded.allowed
WHERE quota.starts_at < excluded.starts_at OR quota.used + excluded.used <= excluded.allowed
RETURNING quota.period
