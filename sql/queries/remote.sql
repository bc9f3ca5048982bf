-- Sources outside: their quotas, breakers and budgets.

-- name: source_answered
-- How asking a source ended. Parameters: source, at, failure (null: well), paused_until, paused_because.
UPDATE source_states
SET asked_at = %(at)s,
    succeeded_at = CASE WHEN %(failure)s::text IS NULL THEN %(at)s ELSE succeeded_at END,
    failed_at = CASE WHEN %(failure)s::text IS NULL THEN failed_at ELSE %(at)s END,
    failure = coalesce(%(failure)s::text, failure),
    paused_until = %(paused_until)s::timestamptz,
    paused_because = %(paused_because)s::text
WHERE source = %(source)s

-- name: source_breaker
-- Change the breaker of a source; what is not given stays. Parameters: source, breaker, opened_at, failures, successes.
UPDATE source_states
SET breaker = coalesce(%(breaker)s::text, breaker),
    opened_at = coalesce(%(opened_at)s::timestamptz, opened_at),
    failures = coalesce(%(failures)s::integer, failures),
    successes = coalesce(%(successes)s::integer, successes)
WHERE source = %(source)s

-- name: source_count
-- One more failure or success of a source, whoever else counts. Parameters: source, failures, successes (0 or 1).
UPDATE source_states
SET failures = failures + %(failures)s, successes = successes + %(successes)s
WHERE source = %(source)s

-- name: source_known
-- A source is known from now on. Parameters: source.
INSERT INTO source_states (source) VALUES (%(source)s) ON CONFLICT DO NOTHING

-- name: source_quota_take
-- Take a request out of the quotas of a source: a row for each quota that has it. All or none is the caller's business,
-- by rolling back. A later period begins at zero. Parameters: source, period, starts_at, cost, allowed (arrays).
INSERT INTO source_quotas AS quota (source, period, starts_at, used, allowed)
SELECT %(source)s, wanted.period, wanted.starts_at, wanted.cost, wanted.allowed
FROM unnest(%(period)s::text[], %(starts_at)s::timestamptz[], %(cost)s::bigint[], %(allowed)s::bigint[])
    AS wanted (period, starts_at, cost, allowed)
WHERE wanted.cost <= wanted.allowed
ON CONFLICT (source, period) DO UPDATE
SET starts_at = greatest(quota.starts_at, excluded.starts_at),
    used = CASE WHEN quota.starts_at < excluded.starts_at THEN excluded.used ELSE quota.used + excluded.used END,
    allowed = excluded.allowed
WHERE quota.starts_at < excluded.starts_at OR quota.used + excluded.used <= excluded.allowed
RETURNING quota.period

-- name: source_remember
-- What the poller of a source keeps for its next run. Parameters: source, memory.
UPDATE source_states SET memory = %(memory)s::jsonb WHERE source = %(source)s

-- name: source_state
-- What is remembered of a source. Parameters: source.
SELECT breaker, failures, successes, opened_at, paused_until, paused_because, memory, asked_at
FROM source_states
WHERE source = %(source)s

-- name: source_trouble
-- What is wrong with a source beyond this poll: its last failure if nothing has succeeded since, and the age in seconds
-- of the newest that is stored of it (null: nothing). Parameters: source, subject.
SELECT CASE WHEN failed_at > coalesce(succeeded_at, '-infinity') THEN failure END AS failure,
       extract(epoch FROM now() - CASE %(subject)s
           WHEN 'market' THEN (
               SELECT max("timestamp") FROM market_data
               WHERE source = %(source)s AND "timestamp" > now() - interval '30 days'
           )
           WHEN 'mood' THEN (SELECT max("timestamp") FROM fear_greed_data)
       END)::float8 AS age
FROM source_states
WHERE source = %(source)s

-- name: rest_budget_answered
-- An exchange has answered after failures. Parameter: exchange.
UPDATE rest_budgets SET failures = 0 WHERE exchange = %(exchange)s AND failures > 0

-- name: rest_budget_close
-- Let nobody ask an exchange for a while. Parameters: exchange, because, pause (interval).
UPDATE rest_budgets
SET closed_until = greatest(closed_until, clock_timestamp() + %(pause)s::interval),
    closed_because = %(because)s,
    free_at = greatest(free_at, clock_timestamp() + %(pause)s::interval)
WHERE exchange = %(exchange)s

-- name: rest_budget_closed
-- For how many seconds nobody may ask an exchange, and why; no row where one may. Parameter: exchange.
SELECT extract(epoch FROM closed_until - clock_timestamp())::float8, closed_because
FROM rest_budgets
WHERE exchange = %(exchange)s AND closed_until > clock_timestamp()

-- name: rest_budget_failed
-- Asking an exchange failed: closed to all for as long as it asked for, else from the nth failure in a row on, for longer
-- each time; then one after the other, without a burst. Returns for how many seconds it is closed.
-- Parameters: exchange, because, retry_after (interval or null), nth, first, longest (intervals).
UPDATE rest_budgets AS budget
SET failures = budget.failures + 1,
    closed_until = closing.until,
    closed_because = CASE WHEN closing.until IS DISTINCT FROM budget.closed_until THEN %(because)s
                     ELSE budget.closed_because END,
    free_at = greatest(budget.free_at, closing.until)
FROM (
    SELECT known.exchange,
           greatest(known.closed_until,
                    CASE WHEN %(retry_after)s::interval IS NOT NULL THEN clock_timestamp() + %(retry_after)s::interval
                         WHEN known.failures + 1 >= %(nth)s THEN clock_timestamp()
                             + least(%(longest)s::interval,
                                     %(first)s::interval * 2 ^ least(known.failures + 1 - %(nth)s, 10)) END) AS until
    FROM rest_budgets known
    WHERE known.exchange = %(exchange)s
    FOR UPDATE
) closing
WHERE budget.exchange = closing.exchange
RETURNING greatest(0, coalesce(extract(epoch FROM budget.closed_until - clock_timestamp()), 0))::float8

-- name: rest_budget_reserve
-- Take a place in the budget of an exchange: how many seconds to wait for it, and how often asking has failed in a row.
-- No row where the wait would be longer than `patience`. Parameters: exchange, cost, burst, patience (intervals).
INSERT INTO rest_budgets AS budget (exchange, free_at)
VALUES (%(exchange)s, clock_timestamp() - %(burst)s::interval + %(cost)s::interval)
ON CONFLICT (exchange) DO UPDATE
SET free_at = greatest(budget.free_at, clock_timestamp() - %(burst)s::interval) + %(cost)s::interval
WHERE budget.free_at <= clock_timestamp() + %(patience)s::interval
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8, failures
