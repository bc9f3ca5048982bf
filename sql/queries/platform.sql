-- The database itself, and the figures of its tables.

-- name: data_dictionary
-- Every column of every table and view of ours: relation, its comment, column, type, place in the key, comment.
select case nspname when 'public' then relname else nspname || '.' || relname end,
       obj_description(pg_class.oid, 'pg_class'),
       attname,
       format_type(atttypid, atttypmod),
       array_position(key.columns, attnum),
       col_description(pg_class.oid, attnum)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
left join lateral (
    select array_agg(number::smallint order by place) as columns
    from pg_index, unnest(indkey) with ordinality keys (number, place)
    where indrelid = pg_class.oid and indisprimary
) key on true
where nspname in ('public', 'cold_storage') and relkind in ('r', 'p', 'v', 'm')
  and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')
order by nspname <> 'public', relname, attnum

-- name: lock_timeout
-- How long statements of this transaction wait for a lock. Parameter: timeout, such as 20s.
SELECT set_config('lock_timeout', %(timeout)s, true)

-- name: schema_migrations
create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);

-- name: timescaledb_edition
-- The edition of this database (community, apache or plain), the extension's version, and the server's.
SELECT CASE
           WHEN extversion IS NULL THEN 'plain'
           WHEN current_setting('timescaledb.license', true) = 'apache' THEN 'apache'
           ELSE 'community'
       END AS edition,
       coalesce(extversion, '') AS extension, current_setting('server_version') AS server
FROM (SELECT max(extversion) AS extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension

-- name: server_shortcomings
-- What of this server, its settings or the size of its lock table the platform cannot work with, or loses rows with: a
-- sentence each, with what to set. docs/servers.md has the whole list.
WITH held AS (
    SELECT count(*) AS relations FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'i', 'I') AND nspname IN ('public', 'cold_storage', '_timescaledb_internal')
), room AS (
    SELECT current_setting('max_locks_per_transaction')::bigint
           * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint) AS locks
), checks (fails, said) AS (
    SELECT current_setting('server_version_num')::integer < 150000,
           'PostgreSQL ' || current_setting('server_version') || ' is too old: 15 or later is needed'
    UNION ALL
    SELECT current_setting('server_encoding') <> 'UTF8',
           'the database is encoded in ' || current_setting('server_encoding') || ': create it with encoding UTF8'
    UNION ALL
    SELECT current_setting('max_connections')::integer < 60,
           'max_connections is ' || current_setting('max_connections') || ': the platform needs 60'
    UNION ALL
    SELECT 2 * held.relations > room.locks,
           'a statement over the whole history locks up to ' || held.relations || ' tables and indexes, the lock table has '
           || 'room for ' || room.locks || ' of all connections together: raise max_locks_per_transaction to '
           || (2 * held.relations * current_setting('max_locks_per_transaction')::bigint / room.locks + 1)
    FROM held, room
    UNION ALL
    SELECT name = ANY ('{fsync,full_page_writes,synchronous_commit,track_activities}') AND setting = 'off',
           name || ' is off: ' || CASE name
               WHEN 'track_activities' THEN 'a slow batch cannot be told from one that hangs'
               WHEN 'synchronous_commit' THEN 'what was committed last is lost in a crash, and not read again'
               ELSE 'a crash can destroy the database'
           END
    FROM pg_settings
)
SELECT said FROM checks WHERE fails ORDER BY said

-- name: upgrade_notes
-- What migrations wrote down for whoever runs the platform, a sentence each, in their transactions. Parameter: names.
SELECT action || ': ' || subject || coalesce(' (' || (
    SELECT string_agg(key || ': ' || value, '; ' ORDER BY key) FROM jsonb_each_text(detail)
) || ')', '')
FROM action_log
WHERE at IN (SELECT applied_at FROM schema_migrations WHERE name = ANY(%(names)s))
ORDER BY id

-- name: table_figures
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

-- name: live_figures
-- What arrived lately, per exchange: trades and tickers of the last minute, and the age of the newest of each.
SELECT exchange,
       sum(trades)::bigint AS trades_last_minute,
       sum(tickers)::bigint AS tickers_last_minute,
       extract(epoch FROM now() - max(newest_trade))::float8 AS trade_age,
       extract(epoch FROM now() - max(newest_ticker))::float8 AS ticker_age
FROM (
    SELECT exchange, count(*) AS trades, 0 AS tickers, max(timestamp) AS newest_trade, NULL::timestamptz AS newest_ticker
    FROM trade_data WHERE timestamp > now() - interval '1 minute' GROUP BY exchange
    UNION ALL
    SELECT exchange, 0, count(*), NULL, max(timestamp)
    FROM ticker_data WHERE timestamp > now() - interval '1 minute' GROUP BY exchange
) AS lately
GROUP BY exchange
ORDER BY exchange

-- name: pair_freshness
-- Seconds since the newest stored trade and ticker of each asked pair happened; empty where the last day has none.
-- Parameters: exchanges, pairs (arrays of one length).
SELECT wanted.exchange, wanted.pair, extract(epoch FROM now() - trade.newest)::float8 AS trade_age,
       extract(epoch FROM now() - ticker.newest)::float8 AS ticker_age
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS wanted (exchange, pair)
LEFT JOIN LATERAL (
    SELECT timestamp AS newest FROM trade_data
    WHERE exchange = wanted.exchange AND pair = wanted.pair AND timestamp > now() - interval '1 day'
    ORDER BY timestamp DESC LIMIT 1
) AS trade ON true
LEFT JOIN LATERAL (
    SELECT timestamp AS newest FROM ticker_data
    WHERE exchange = wanted.exchange AND pair = wanted.pair AND timestamp > now() - interval '1 day'
    ORDER BY timestamp DESC LIMIT 1
) AS ticker ON true
ORDER BY wanted.exchange, wanted.pair

-- name: rows_since
-- Whether trades received after an instant are stored. Parameter: since.
SELECT count(*) FROM (
    SELECT FROM trade_data WHERE timestamp > %(since)s::timestamptz - interval '1 hour' AND received_at > %(since)s LIMIT 1
) AS newer
