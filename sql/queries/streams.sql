-- Long-running processes: what is asked of each, and how it is.

-- name: stream_desire
-- What a stream should be doing from now on; its runner sees to it. Parameters: name, desired.
INSERT INTO stream_control AS control (name, desired, updated_at)
VALUES (%(name)s, %(desired)s, now())
ON CONFLICT (name) DO UPDATE
    SET desired = excluded.desired, updated_at = excluded.updated_at
RETURNING generation

-- name: stream_epoch
-- The epoch of a stream, and whose it is: who holds an older one must end. Parameters: name.
SELECT epoch, runner_pid, host FROM stream_status WHERE name = %(name)s

-- name: stream_event
-- Something happened to a stream's worker; told twice, it is written once.
-- Parameters: name, at, event, epoch, reason, detail.
INSERT INTO stream_events (name, at, event, epoch, reason, detail)
VALUES (%(name)s, %(at)s, %(event)s, %(epoch)s, %(reason)s, %(detail)s)
ON CONFLICT (name, at, event) DO NOTHING

-- name: stream_facts
-- Each asked stream: what it should do, what it says, whether a runner holds its lock, and what its last restart cost.
-- A server that was away could not be written to: silence counts from its start. Parameter: names.
SELECT wanted.name, coalesce(control.desired, 'running') AS desired, status.state,
       status.epoch, status.runner_pid,
       CASE WHEN status.runner_heartbeat IS NOT NULL THEN
           extract(epoch FROM now() - greatest(status.runner_heartbeat, pg_postmaster_start_time()))::float8
       END AS runner_age,
       CASE WHEN status.heartbeat IS NOT NULL THEN
           extract(epoch FROM now() - greatest(status.heartbeat, pg_postmaster_start_time()))::float8
       END AS heartbeat_age,
       extract(epoch FROM now() - status.started_at)::float8 AS uptime,
       extract(epoch FROM now() - status.ready_at)::float8 AS ready_age,
       extract(epoch FROM now() - status.progressed_at)::float8 AS progress_age,
       extract(epoch FROM now() - status.rows_at)::float8 AS rows_age,
       extract(epoch FROM status.next_start_at - now())::float8 AS next_start_in,
       status.lag, coalesce(status.rows_total, 0) AS rows_total, status.batch_rows, status.batch_ms,
       coalesce(status.restarts, 0) AS restarts, coalesce(control.generation, 0) AS asked_generation,
       status.generation, status.last_error, coalesce(status.detail, '{}') AS detail,
       EXISTS (
           SELECT FROM pg_locks
           WHERE locktype = 'advisory' AND granted AND objsubid = 1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (classid::bigint << 32) | objid::bigint = hashtextextended('cryptoviz.stream.' || wanted.name, 0)
       ) AS locked,
       happened.at AS event_at, happened.event, happened.reason AS event_reason, happened.detail AS event_detail
FROM unnest(%(names)s::text[]) AS wanted (name)
LEFT JOIN stream_status AS status USING (name)
LEFT JOIN stream_control AS control USING (name)
LEFT JOIN LATERAL (
    SELECT at, event, reason, detail FROM stream_events
    WHERE name = wanted.name AND event NOT IN ('ready', 'taken_over') ORDER BY at DESC LIMIT 1
) AS happened ON true
ORDER BY wanted.name

-- name: stream_heartbeat
-- One sign of life of a stream's runner, with its worker's figures; answers what the stream should do. No row comes back
-- once another runner has taken the stream or a later epoch has begun. Ages are seconds before now, none: unchanged.
-- Parameters: name, epoch, runner_pid, host, state, pid, restarts, next_start_s, heartbeat_age, ready_age,
-- progressed_age, rows_age, lag_zero_age, lag, rows_total, batch_rows, batch_ms, detail, last_error.
UPDATE stream_status
SET state = %(state)s, pid = %(pid)s, restarts = %(restarts)s, runner_heartbeat = now(),
    next_start_at = now() + %(next_start_s)s::float8 * interval '1 second',
    heartbeat = coalesce(now() - %(heartbeat_age)s::float8 * interval '1 second', heartbeat),
    ready_at = coalesce(ready_at, now() - %(ready_age)s::float8 * interval '1 second'),
    progressed_at = coalesce(now() - %(progressed_age)s::float8 * interval '1 second', progressed_at),
    rows_at = coalesce(now() - %(rows_age)s::float8 * interval '1 second', rows_at),
    lag_zero_at = coalesce(now() - %(lag_zero_age)s::float8 * interval '1 second', lag_zero_at),
    lag = %(lag)s, rows_total = coalesce(%(rows_total)s, rows_total), batch_rows = %(batch_rows)s,
    batch_ms = %(batch_ms)s, detail = %(detail)s, last_error = %(last_error)s
WHERE name = %(name)s AND epoch = %(epoch)s AND runner_pid = %(runner_pid)s AND host = %(host)s
RETURNING coalesce((SELECT desired FROM stream_control WHERE name = %(name)s), 'running') AS desired,
          coalesce((SELECT generation FROM stream_control WHERE name = %(name)s), 0) AS generation

-- name: stream_list
-- Every stream as its runner last reported it, with the state that was asked for.
SELECT coalesce(status.name, control.name) AS name, status.state, coalesce(control.desired, 'running') AS desired,
       status.pid, status.epoch, status.runner_pid, status.host, status.generation,
       coalesce(control.generation, 0) AS wanted_generation, status.restarts,
       extract(epoch FROM status.next_start_at - now())::float8 AS next_start_s,
       extract(epoch FROM now() - status.heartbeat)::float8 AS heartbeat_age,
       extract(epoch FROM now() - status.runner_heartbeat)::float8 AS runner_age,
       extract(epoch FROM now() - status.progressed_at)::float8 AS progressed_age,
       extract(epoch FROM now() - status.started_at)::float8 AS uptime,
       status.lag, status.rows_total, status.batch_rows, status.batch_ms, status.detail, status.last_error
FROM stream_status AS status
FULL JOIN stream_control AS control USING (name)
ORDER BY 1

-- name: stream_restart
-- A new generation of a stream that should run: its runner stops the worker and starts another, at once. No row comes
-- back when the stream should stand still, or when `generation` (if given) is not the one asked for last: somebody else
-- was faster. Parameters: name, generation.
INSERT INTO stream_control AS control (name, generation, updated_at)
VALUES (%(name)s, 1, now())
ON CONFLICT (name) DO UPDATE
    SET generation = control.generation + 1, updated_at = excluded.updated_at
    WHERE control.desired = 'running'
      AND control.generation = coalesce(%(generation)s::bigint, control.generation)
RETURNING generation

-- name: stream_take
-- Who holds the stream's lock says so, and learns how the runner before left it (no state: there was none).
-- Parameters: name, runner_pid, host.
WITH before AS (SELECT * FROM stream_status WHERE name = %(name)s),
taken AS (
    INSERT INTO stream_status AS status (name, state, runner_pid, runner_heartbeat, host)
    VALUES (%(name)s, 'stopped', %(runner_pid)s, now(), %(host)s)
    ON CONFLICT (name) DO UPDATE
        SET runner_pid = excluded.runner_pid, runner_heartbeat = excluded.runner_heartbeat, host = excluded.host
    RETURNING epoch
)
SELECT before.state, before.pid, before.host, before.runner_pid, taken.epoch, coalesce(before.restarts, 0) AS restarts,
       extract(epoch FROM now() - before.heartbeat)::float8 AS silent_s,
       coalesce(control.desired, 'running') AS desired, coalesce(control.generation, 0) AS generation
FROM taken
LEFT JOIN before ON true
LEFT JOIN stream_control AS control ON control.name = %(name)s

-- name: stream_verdict_upsert
-- What the supervisor found of a stream, and remembers of it. Parameters: name, verdict, reason, memory.
INSERT INTO stream_verdicts (name, verdict, reason, memory)
VALUES (%(name)s, %(verdict)s, %(reason)s, %(memory)s)
ON CONFLICT (name) DO UPDATE
    SET judged_at = clock_timestamp(), verdict = excluded.verdict, reason = excluded.reason, memory = excluded.memory

-- name: stream_verdicts
-- What the supervisor remembers of each stream.
SELECT name, memory FROM stream_verdicts

-- name: stream_work
-- What the database does for a worker, by connection: whether it works on a statement (or waits for a lock), whose lock it
-- waits for, since when, and the rows copied so far. Idle connections are left out. Parameter: application_name.
SELECT work.pid, work.state = 'active' AND work.wait_event_type IS DISTINCT FROM 'Client' AS busy,
       CASE WHEN work.wait_event_type = 'Lock' THEN
           (SELECT string_agg(DISTINCT coalesce(nullif(holder.application_name, ''), holder.pid::text), ', ')
            FROM pg_stat_activity AS holder WHERE holder.pid = ANY (pg_blocking_pids(work.pid)))
       END AS held_by,
       work.query_start, copied.tuples_processed
FROM pg_stat_activity AS work
LEFT JOIN pg_stat_progress_copy AS copied USING (pid)
WHERE work.datname = current_database() AND work.usename = current_user AND work.state <> 'idle'
  AND work.application_name = %(application_name)s

-- name: claim_stream
-- Raises the epoch for a new worker of a stream: writers of earlier epochs are refused from now on. Waits for the
-- transactions of the previous worker that are still under way. Parameters: name, runner_pid, host, generation.
INSERT INTO stream_status AS status
    (name, state, runner_pid, runner_heartbeat, host, epoch, generation, started_at, heartbeat, rows_total, detail)
VALUES (%(name)s, 'starting', %(runner_pid)s, now(), %(host)s, 1, %(generation)s, now(), now(), 0, '{}')
ON CONFLICT (name) DO UPDATE
    SET state = excluded.state, pid = NULL, runner_pid = excluded.runner_pid,
        runner_heartbeat = excluded.runner_heartbeat, host = excluded.host, epoch = status.epoch + 1,
        generation = excluded.generation, started_at = excluded.started_at, heartbeat = excluded.heartbeat,
        next_start_at = NULL, ready_at = NULL, progressed_at = NULL, lag = NULL, rows_total = 0, batch_rows = NULL,
        batch_ms = NULL, detail = excluded.detail
RETURNING epoch

-- name: replay_forget
-- The fence of a replay that has ended: nothing will be stored under it again. Parameter: query_id.
DELETE FROM sink_fence WHERE query_id = %(query_id)s
