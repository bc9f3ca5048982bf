-- Rows move between hot tables and cold_storage.

-- name: tier_old_candles
-- Moves one batch of old candles to cold_storage; how many rows. Parameter: batch (rows).
SELECT tier_old_candles(%(batch)s)

-- name: tier_old_indicators
-- Moves one batch of old indicators to cold_storage; how many rows. Parameter: batch (rows).
SELECT tier_old_indicators(%(batch)s)

-- name: tier_old_news
-- Moves one batch of old news to cold_storage; how many rows. Parameter: batch (rows).
SELECT tier_old_news(%(batch)s)

-- name: tier_sizes
-- Rows (of tables: estimated) and bytes of every subject in each tier: hot, cold, archive. Reads statistics only.
SELECT sizes.subject, sizes.tier, sizes.rows, sizes.bytes
FROM (
    SELECT tables.subject, tables.tier, coalesce(sum(parts.rows), 0)::bigint AS rows,
           coalesce(sum(pg_total_relation_size(parts.oid)), 0)::bigint AS bytes
    FROM (
        VALUES ('candles', 'hot', 'candles'), ('candles', 'cold', 'cold_storage.candles'),
               ('indicators', 'hot', 'indicators'), ('indicators', 'cold', 'cold_storage.indicators'),
               ('news', 'hot', 'article_data'), ('news', 'cold', 'cold_storage.article_data')
        UNION ALL
        SELECT subject, 'hot', subject FROM retention_policy
    ) AS tables (subject, tier, relation)
    JOIN LATERAL (
        SELECT part.oid,
               CASE WHEN part.reltuples < 0 THEN pg_stat_get_live_tuples(part.oid) ELSE part.reltuples END AS rows
        FROM (
            SELECT to_regclass(tables.relation)::oid
            UNION ALL
            SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(tables.relation)
        ) AS family (oid)
        JOIN pg_class AS part USING (oid)
    ) AS parts ON true
    GROUP BY tables.subject, tables.tier
    UNION ALL
    SELECT subject, 'archive', sum(rows)::bigint, sum(bytes)::bigint FROM archive_files GROUP BY subject
) AS sizes
ORDER BY sizes.subject, array_position(ARRAY['hot', 'cold', 'archive'], sizes.tier)

-- name: tiering_keep_history
-- No candle or indicator of the configured history leaves the database. Returns the policies that changed.
-- Parameters: timeframe, history_age (arrays; an age that is empty: none).
UPDATE tiering_policy AS policy SET history_age = given.history_age
FROM unnest(%(timeframe)s::text[], %(history_age)s::interval[]) AS given (timeframe, history_age)
WHERE policy.subject IN ('candles', 'indicators') AND policy.timeframe = given.timeframe
  AND policy.history_age IS DISTINCT FROM given.history_age
RETURNING policy.subject, policy.timeframe, policy.history_age

-- name: compress_cold
-- Puts a whole chunk of cold_storage into the columnstore, where there is one; how many (1 or 0). Parameter: again.
SELECT compress_cold(%(again)s)

-- name: drop_empty_chunks
-- Drops the chunks of a table that end before and have no rows; how many. Parameters: relation, before.
SELECT drop_empty_chunks(%(relation)s::regclass, %(before)s)
