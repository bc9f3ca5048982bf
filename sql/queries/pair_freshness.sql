-- Seconds since the newest stored trade and ticker of each asked pair happened; empty where the last day has none.
-- Parameters: exchanges, pairs (arrays of one length).
SELECT asked.exchange, asked.pair, extract(epoch FROM now() - trade.newest)::float8 AS trade_age,
       extract(epoch FROM now() - ticker.newest)::float8 AS ticker_age
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS asked (exchange, pair)
LEFT JOIN LATERAL (
    SELECT timestamp AS newest FROM trade_data
    WHERE exchange = asked.exchange AND pair = asked.pair AND timestamp > now() - interval '1 day'
    ORDER BY timestamp DESC LIMIT 1
) AS trade ON true
LEFT JOIN LATERAL (
    SELECT timestamp AS newest FROM ticker_data
    WHERE exchange = asked.exchange AND pair = asked.pair AND timestamp > now() - interval '1 day'
    ORDER BY timestamp DESC LIMIT 1
) AS ticker ON true
ORDER BY asked.exchange, asked.pair
