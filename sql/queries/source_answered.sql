-- How asking a source ended. Parameters: source, at, failure (null: well), paused_until, paused_because.
UPDATE source_states
SET asked_at = %(at)s,
    succeeded_at = CASE WHEN %(failure)s::text IS NULL THEN %(at)s ELSE succeeded_at END,
    failed_at = CASE WHEN %(failure)s::text IS NULL THEN failed_at ELSE %(at)s END,
    failure = coalesce(%(failure)s::text, failure),
    paused_until = %(paused_until)s::timestamptz,
    paused_because = %(paused_because)s::text
WHERE source = %(source)s
