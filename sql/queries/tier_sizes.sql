-- How much lies where: rows (estimated) and bytes of the hot and the cold tables.
SELECT tiered.subject, tiered.tier,
       sum(CASE WHEN part.reltuples < 0 THEN pg_stat_get_live_tuples(part.oid) ELSE part.reltuples END)::bigint AS rows,
       sum(pg_total_relation_size(part.oid))::bigint AS bytes
FROM (
    VALUES ('candles', 'hot', 'public.candles'), ('candles', 'cold', 'cold_storage.candles'),
           ('indicators', 'hot', 'public.indicators'), ('indicators', 'cold', 'cold_storage.indicators'),
           ('news', 'hot', 'public.article_data'), ('news', 'cold', 'cold_storage.article_data')
) AS tiered (subject, tier, relation)
CROSS JOIN LATERAL (
    SELECT tiered.relation::regclass::oid
    UNION ALL
    SELECT inhrelid FROM pg_inherits WHERE inhparent = tiered.relation::regclass
) AS parts (oid)
JOIN pg_class AS part ON part.oid = parts.oid
GROUP BY tiered.subject, tiered.tier
ORDER BY tiered.subject, tiered.tier DESC
