-- The newest trades of each pair within the last ten minutes.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN LATERAL (
    SELECT "timestamp", received_at, exchange, pair, trade_id, price, volume, side
    FROM trade_data
    WHERE exchange = series.exchange AND pair = series.pair AND "timestamp" > now() - interval '10 minutes'
    ORDER BY "timestamp" DESC
    LIMIT %(most)s
) AS newest
