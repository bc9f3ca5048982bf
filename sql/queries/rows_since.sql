-- Whether trades received after an instant are stored. Parameter: since.
SELECT count(*) FROM (
    SELECT FROM trade_data WHERE timestamp > %(since)s::timestamptz - interval '1 hour' AND received_at > %(since)s LIMIT 1
) AS one
