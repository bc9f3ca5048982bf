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
