-- What each table holds now: newest time, rows of the last minute, rows (estimated) and bytes of all its parts.
-- `batch_ms`: how long the ingestion's last batch took, for the tables it writes.
SELECT newest.name, newest.at, newest.rows_last_minute, sizes.rows_estimate, sizes.bytes,
       CASE WHEN newest.ingested THEN
           (SELECT batch_ms FROM stream_status WHERE name = 'ingestion' AND state = 'running')
       END AS batch_ms
FROM (
    SELECT 'ticker_data' AS name, true AS ingested, (SELECT max("timestamp") FROM ticker_data) AS at,
           (SELECT count(*) FROM ticker_data WHERE "timestamp" > now() - interval '1 minute') AS rows_last_minute
    UNION ALL
    SELECT 'trade_data', true, (SELECT max("timestamp") FROM trade_data),
           (SELECT count(*) FROM trade_data WHERE "timestamp" > now() - interval '1 minute')
    UNION ALL
    SELECT 'candles', true, (SELECT max(window_start) FROM candles),
           (SELECT count(*) FROM candles WHERE window_start > now() - interval '1 minute')
    UNION ALL
    SELECT 'exchange_candles', true, (SELECT max(window_start) FROM exchange_candles),
           (SELECT count(*) FROM exchange_candles WHERE window_start > now() - interval '1 minute')
    UNION ALL
    SELECT 'alert_data', true, (SELECT max("timestamp") FROM alert_data),
           (SELECT count(*) FROM alert_data WHERE "timestamp" > now() - interval '1 minute')
    UNION ALL
    SELECT 'article_data', true, (SELECT max("timestamp") FROM article_data),
           (SELECT count(*) FROM article_data WHERE "timestamp" > now() - interval '1 minute')
    UNION ALL
    SELECT 'market_data', true, (SELECT max("timestamp") FROM market_data),
           (SELECT count(*) FROM market_data WHERE "timestamp" > now() - interval '1 minute')
    UNION ALL
    SELECT 'fear_greed_data', true, (SELECT max("timestamp") FROM fear_greed_data),
           (SELECT count(*) FROM fear_greed_data WHERE "timestamp" > now() - interval '1 minute')
    UNION ALL
    SELECT 'collector_position', false, max(received_at),
           count(*) FILTER (WHERE received_at > now() - interval '1 minute')
    FROM collector_position
    UNION ALL
    SELECT 'stream_status', false, max(heartbeat), count(*) FILTER (WHERE heartbeat > now() - interval '1 minute')
    FROM stream_status
    UNION ALL
    SELECT 'platform_alerts', false, (SELECT max(opened_at) FROM platform_alerts),
           (SELECT count(*) FROM platform_alerts WHERE opened_at > now() - interval '1 minute')
    UNION ALL
    SELECT 'stream_control', false, max(updated_at), count(*) FILTER (WHERE updated_at > now() - interval '1 minute')
    FROM stream_control
    UNION ALL
    SELECT 'sink_fence', false, max(updated_at), count(*) FILTER (WHERE updated_at > now() - interval '1 minute')
    FROM sink_fence
    UNION ALL
    SELECT 'source_states', false, max(asked_at), count(*) FILTER (WHERE asked_at > now() - interval '1 minute')
    FROM source_states
    UNION ALL
    SELECT 'source_quotas', false, max(starts_at), count(*) FILTER (WHERE starts_at > now() - interval '1 minute')
    FROM source_quotas
    UNION ALL
    SELECT 'article_revisions', false, (SELECT max(first_seen) FROM article_revisions),
           (SELECT count(*) FROM article_revisions WHERE first_seen > now() - interval '1 minute')
    UNION ALL
    SELECT 'shared_article_names', false, max(first_seen), count(*) FILTER (WHERE first_seen > now() - interval '1 minute')
    FROM shared_article_names
    UNION ALL
    SELECT 'news_feed_states', false, max(checked_at), count(*) FILTER (WHERE checked_at > now() - interval '1 minute')
    FROM news_feed_states
    UNION ALL
    SELECT 'robots_cache', false, max(fetched_at), count(*) FILTER (WHERE fetched_at > now() - interval '1 minute')
    FROM robots_cache
    UNION ALL
    SELECT 'staging', false, max(staged_at), count(*) FILTER (WHERE staged_at > now() - interval '1 minute')
    FROM staging
    UNION ALL
    SELECT 'quarantine', false, (SELECT max(created_at) FROM quarantine),
           (SELECT count(*) FROM quarantine WHERE created_at > now() - interval '1 minute')
) AS newest
JOIN LATERAL (
    SELECT sum(CASE WHEN part.reltuples < 0 THEN pg_stat_get_live_tuples(part.oid) ELSE part.reltuples END)::bigint
               AS rows_estimate,
           sum(pg_total_relation_size(part.oid))::bigint AS bytes
    FROM (
        SELECT to_regclass('public.' || newest.name)::oid
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('public.' || newest.name)
    ) AS parts (oid)
    JOIN pg_class AS part USING (oid)
) AS sizes ON true
ORDER BY newest.name
