-- Whether the trade ids of the last hour follow each other without a hole, per pair. Ids are counted over a minute more
-- than the range of ids is taken from: near its edges the order of ids is not that of timestamps.
WITH ends AS (
    SELECT exchange, pair, min(trade_id) AS first_id,
           max(trade_id) FILTER (WHERE "timestamp" < now() - interval '30 seconds') AS last_id,
           max(trade_id) AS newest_id, extract(epoch FROM now() - max("timestamp"))::float8 AS newest_age
    FROM trade_data
    WHERE "timestamp" > now() - interval '1 hour'
    GROUP BY exchange, pair
), stored AS (
    SELECT exchange, pair, first_id, last_id, newest_id, newest_age, count(DISTINCT trade_id) AS stored
    FROM ends
    JOIN trade_data USING (exchange, pair)
    WHERE "timestamp" > now() - interval '61 minutes' AND trade_id BETWEEN first_id AND last_id
    GROUP BY exchange, pair, first_id, last_id, newest_id, newest_age
)
SELECT exchange, pair, first_id, last_id, newest_id, newest_age, stored, last_id - first_id + 1 - stored AS missing,
       known.explained, known.healing
FROM stored
CROSS JOIN LATERAL (
    SELECT coalesce(sum(ids) FILTER (WHERE status = 'explained'), 0)::bigint AS explained,
           coalesce(sum(ids) FILTER (WHERE status IN ('open', 'healing', 'failed')), 0)::bigint AS healing
    FROM (
        SELECT status, least(coalesce(last_missing_id, last_id), last_id) - greatest(first_missing_id, first_id) + 1 AS ids
        FROM trade_gaps
        WHERE trade_gaps.exchange = stored.exchange AND trade_gaps.pair = stored.pair
          AND first_missing_id <= last_id AND coalesce(last_missing_id, last_id) >= first_id
    ) AS gaps
) AS known
ORDER BY exchange, pair
