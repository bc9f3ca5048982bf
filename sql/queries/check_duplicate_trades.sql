-- Trades of the last hour that are stored more than once under one id of a pair, whatever their timestamps: per pair.
SELECT exchange, pair, sum(copies)::bigint AS trades, sum(copies - 1)::bigint AS duplicates,
       min(trade_id) FILTER (WHERE copies > 1) AS example
FROM (
    SELECT exchange, pair, trade_id, count(*) AS copies
    FROM trade_data
    WHERE "timestamp" > now() - interval '1 hour'
    GROUP BY exchange, pair, trade_id
) AS ids
GROUP BY exchange, pair
ORDER BY exchange, pair
