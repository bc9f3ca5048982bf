-- Makes this process the owner of a stream and raises its epoch: writers of earlier epochs are refused from now on.
-- Waits for the transactions of the previous owner that are still under way. Parameters: name, pid, host.
INSERT INTO stream_status AS status (name, state, pid, host, epoch, started_at, heartbeat, rows_total, detail)
VALUES (%(name)s, 'starting', %(pid)s, %(host)s, 1, now(), now(), 0, '{}')
ON CONFLICT (name) DO UPDATE
    SET state = excluded.state, pid = excluded.pid, host = excluded.host, epoch = status.epoch + 1,
        started_at = excluded.started_at, heartbeat = excluded.heartbeat, lag = NULL, rows_total = 0,
        batch_rows = NULL, batch_ms = NULL, detail = excluded.detail, last_error = NULL
RETURNING epoch
