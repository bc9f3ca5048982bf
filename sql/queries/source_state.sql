-- What is remembered of a source; it is known from then on. Parameters: source.
INSERT INTO source_states AS state (source)
VALUES (%(source)s)
ON CONFLICT (source) DO UPDATE SET source = excluded.source
RETURNING breaker, failures, successes, opened_at, paused_until, paused_because, memory, asked_at
