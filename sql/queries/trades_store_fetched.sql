-- Stores trades as an exchange gave them: the earliest new one of each minute.
-- Parameters: exchange, pair; timestamps, trade_ids, prices, volumes, sides (arrays).
WITH stored AS (
    INSERT INTO trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
    SELECT timestamp, %(exchange)s, %(pair)s, trade_id, price, volume, side
    FROM unnest(
        %(timestamps)s::timestamptz[], %(trade_ids)s::bigint[], %(prices)s::numeric[], %(volumes)s::numeric[],
        %(sides)s::text[]
    ) AS given (timestamp, trade_id, price, volume, side)
    ON CONFLICT DO NOTHING
    RETURNING timestamp
)
SELECT min(timestamp) FROM stored GROUP BY date_trunc('minute', timestamp)
