-- The staged trades whose id is stored already or comes earlier in the file: the same trade once more (no words), or
-- another one and how it differs. An archive may give microseconds of what the stream gave in milliseconds, and a
-- floating-point number of what it gave in decimals.
-- Parameters: exchange, pair, since, until.
WITH known AS (
    SELECT trade_id, price, volume, side, (extract(epoch FROM "timestamp") * 1000000)::bigint AS microseconds,
           'stored' AS place, 0::bigint AS row_number
    FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s
      AND "timestamp" >= %(since)s::timestamptz - interval '1 minute'
      AND "timestamp" <= %(until)s::timestamptz + interval '1 minute'
    UNION ALL
    SELECT DISTINCT ON (trade_id) trade_id, price, volume, side, microseconds, 'in the file before', row_number
    FROM import_trades
    WHERE trade_id IN (SELECT trade_id FROM import_trades GROUP BY trade_id HAVING count(*) > 1)
    ORDER BY trade_id, row_number
)
SELECT DISTINCT ON (staged.row_number)
       staged.row_number,
       CASE WHEN staged.side <> known.side OR abs(staged.price - known.price) > known.price * 1e-12
                 OR abs(staged.volume - known.volume) > known.volume * 1e-12
                 OR abs(staged.microseconds - known.microseconds) >= 1000
           THEN format('trade %%s is %%s: %%s %%s at %%s, %%s', staged.trade_id, known.place, known.side, known.volume,
                       known.price, to_char(to_timestamp(known.microseconds / 1e6), 'YYYY-MM-DD HH24:MI:SS.US'))
       END AS difference
FROM import_trades AS staged
JOIN known ON known.trade_id = staged.trade_id AND known.row_number < staged.row_number
ORDER BY staged.row_number, known.row_number
