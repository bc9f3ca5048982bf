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
