-- One sign of life of a stream's owner, with its figures; no row comes back once another owner has raised the epoch.
-- Parameters: name, epoch, state, lag, rows_total, batch_rows, batch_ms, detail, last_error.
UPDATE stream_status
SET state = %(state)s, heartbeat = now(), lag = %(lag)s, rows_total = coalesce(%(rows_total)s, rows_total),
    batch_rows = %(batch_rows)s, batch_ms = %(batch_ms)s, detail = %(detail)s, last_error = %(last_error)s
WHERE name = %(name)s AND epoch = %(epoch)s
RETURNING epoch
