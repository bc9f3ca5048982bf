-- Every stream as its runner last reported it, with the state that was asked for.
SELECT coalesce(status.name, control.name) AS name, status.state, control.desired, status.pid, status.epoch,
       extract(epoch FROM now() - status.heartbeat)::float8 AS heartbeat_age,
       extract(epoch FROM now() - status.started_at)::float8 AS uptime,
       status.lag, status.rows_total, status.batch_rows, status.batch_ms, status.detail, status.last_error
FROM stream_status AS status
FULL JOIN stream_control AS control USING (name)
ORDER BY 1
