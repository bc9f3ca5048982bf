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
