-- Price and name of each coin of each source as they were published last, within an hour before the instant.
-- Parameters: before (empty: now).
SELECT DISTINCT ON (source, symbol) source, symbol, price_usd, name
FROM market_data
WHERE "timestamp" > coalesce(%(before)s::timestamptz, now()) - interval '1 hour'
    AND "timestamp" <= coalesce(%(before)s::timestamptz, now())
ORDER BY source, symbol, "timestamp" DESC
