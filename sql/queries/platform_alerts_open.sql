-- The open alerts of a kind, with the partition they are about, if any. Parameter: kind.
SELECT subject, coalesce(detail ->> 'partition', '') FROM platform_alerts WHERE kind = %(kind)s AND closed_at IS NULL
