-- What migrations wrote down for whoever runs the platform, a sentence each, in their transactions. Parameter: names.
SELECT action || ': ' || subject || coalesce(' (' || (
    SELECT string_agg(key || ': ' || value, '; ' ORDER BY key) FROM jsonb_each_text(detail)
) || ')', '')
FROM action_log
WHERE at IN (SELECT applied_at FROM schema_migrations WHERE name = ANY(%(names)s))
ORDER BY id
