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
