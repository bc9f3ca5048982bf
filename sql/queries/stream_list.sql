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
