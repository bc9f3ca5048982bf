-- The newest tickers of each pair within the last ten minutes.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN LATERAL (
    SELECT "timestamp", received_at, exchange, pair, last, bid, ask, volume_24h, pct_change
    FROM ticker_data
    WHERE exchange = series.exchange AND pair = series.pair AND "timestamp" > now() - interval '10 minutes'
    ORDER BY "timestamp" DESC
    LIMIT %(most)s
) AS newest
