-- Claims a batch for the sink: the epoch must be the stream's own (the key share lock keeps a successor from raising it
-- until this transaction ends, and lets the heartbeat write the other columns), and the batch must be later than the
-- last one stored.
-- Parameters: stream, epoch, query_id, part, batch. One row: whether the epoch is current, whether the batch is new.
WITH current AS (
    SELECT epoch FROM stream_status WHERE name = %(stream)s AND epoch = %(epoch)s FOR KEY SHARE
), advanced AS (
    INSERT INTO sink_fence (query_id, part, batch, epoch, updated_at)
    SELECT %(query_id)s, %(part)s, %(batch)s, epoch, now() FROM current
    ON CONFLICT (query_id, part) DO UPDATE
        SET batch = excluded.batch, epoch = excluded.epoch, updated_at = excluded.updated_at
        WHERE sink_fence.batch < excluded.batch
    RETURNING batch
)
SELECT EXISTS (SELECT FROM current) AS current, EXISTS (SELECT FROM advanced) AS fresh
