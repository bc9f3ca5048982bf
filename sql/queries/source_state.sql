-- What is remembered of a source. Parameters: source.
SELECT breaker, failures, successes, opened_at, paused_until, paused_because, memory, asked_at
FROM source_states
WHERE source = %(source)s
