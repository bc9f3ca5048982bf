-- A stored trade whose id shows that the staged ones are numbered in another way, and the ids of these; no row: there is
-- none. An exchange's ids grow with time: what is stored a second before, or after, must have a lower, or higher, id than
-- some of the staged, and most of what is stored in between an id in between.
-- Parameters: exchange, pair, since, until (of the staged trades).
WITH staged AS (
    SELECT min(trade_id) AS first, max(trade_id) AS last FROM import_trades
), before AS (
    SELECT "timestamp", trade_id FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s AND "timestamp" < %(since)s::timestamptz - interval '1 second'
    ORDER BY "timestamp" DESC LIMIT 1
), after AS (
    SELECT "timestamp", trade_id FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s AND "timestamp" > %(until)s::timestamptz + interval '1 second'
    ORDER BY "timestamp" LIMIT 1
), inside AS (
    SELECT min("timestamp") FILTER (WHERE odd) AS "timestamp", min(trade_id) FILTER (WHERE odd) AS trade_id
    FROM (
        SELECT "timestamp", trade_id, trade_id NOT BETWEEN staged.first AND staged.last AS odd
        FROM trade_data, staged
        WHERE exchange = %(exchange)s AND pair = %(pair)s
          AND "timestamp" > %(since)s::timestamptz + interval '1 second'
          AND "timestamp" < %(until)s::timestamptz - interval '1 second'
    ) AS stored
    HAVING count(*) FILTER (WHERE odd) * 2 > count(*)
)
SELECT stored."timestamp", stored.trade_id, staged.first, staged.last
FROM staged, (
    SELECT before.* FROM before, staged WHERE before.trade_id > staged.last
    UNION ALL
    SELECT after.* FROM after, staged WHERE after.trade_id < staged.first
    UNION ALL
    SELECT inside.* FROM inside
) AS stored
LIMIT 1
