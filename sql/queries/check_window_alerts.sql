-- The newest alerts of each pair within the last day.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN LATERAL (
    SELECT "timestamp", received_at, exchange, pair, last_price, change_percent, threshold, alert_type
    FROM alert_data
    WHERE exchange = series.exchange AND pair = series.pair AND "timestamp" > now() - interval '1 day'
    ORDER BY "timestamp" DESC
    LIMIT %(most)s
) AS newest
