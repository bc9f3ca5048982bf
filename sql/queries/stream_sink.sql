-- What the stream's sink does in one transaction: the fence, locks, candles.

-- name: advance_fence
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

-- name: batch_is_stored
-- Whether a batch has been stored, whatever the epoch. Parameters: query_id, part, batch.
SELECT EXISTS (
    SELECT FROM sink_fence WHERE query_id = %(query_id)s AND part = %(part)s AND batch >= %(batch)s
)

-- name: lock_batch
-- A piece of batch work that writes trades before it wants the candles: only other batch work waits.
SELECT lock_batch()

-- name: refresh_candles
-- Recomputes the candles of every timeframe over the touched minutes from the trades; returns those that changed.
-- Parameters: exchanges, pairs, minutes (arrays of one length).
SELECT received_at, window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed, source
FROM refresh_candles(%(exchanges)s::text[], %(pairs)s::text[], %(minutes)s::timestamptz[])

-- name: touched_candles
-- The stored candles of every timeframe over the touched minutes, changed or not.
-- Parameters: exchanges, pairs, minutes (arrays of one length).
SELECT received_at, window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed, source
FROM touched_candles(%(exchanges)s::text[], %(pairs)s::text[], %(minutes)s::timestamptz[])

-- name: close_candles
-- Closes the stream candles whose window has ended and that are known whole, and returns them.
SELECT received_at, window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed, source
FROM close_candles()

-- name: lock_candles
-- A piece of batch work on candles begins: the stream waits until this transaction ends.
SELECT lock_candles()

-- name: candles_refresh
-- Makes the candles of one pair anew over the minutes of these instants: how many changed.
-- Parameters: exchange, pair, instants.
SELECT count(*)
FROM refresh_candles(
    array_fill(%(exchange)s::text, ARRAY[cardinality(%(instants)s::timestamptz[])]),
    array_fill(%(pair)s::text, ARRAY[cardinality(%(instants)s::timestamptz[])]), %(instants)s::timestamptz[]
)
