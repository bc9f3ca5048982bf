-- Change the breaker of a source; what is not given stays. Parameters: source, breaker, opened_at, failures, successes.
UPDATE source_states
SET breaker = coalesce(%(breaker)s::text, breaker),
    opened_at = coalesce(%(opened_at)s::timestamptz, opened_at),
    failures = coalesce(%(failures)s::integer, failures),
    successes = coalesce(%(successes)s::integer, successes)
WHERE source = %(source)s
