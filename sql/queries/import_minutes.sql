-- The minutes that the staged trades come to, oldest first; prices and amounts as text, with every digit.
SELECT minute AS start, (array_agg(price ORDER BY row_number))[1]::text AS open, max(price)::text AS high, min(price)::text AS low,
       (array_agg(price ORDER BY row_number DESC))[1]::text AS close, sum(volume)::text AS volume,
       sum(coalesce(trade_count, 1))::bigint AS trade_count, min(row_number) AS number
FROM (
    SELECT date_bin(interval '1 minute', timestamptz 'epoch' + microseconds * interval '1 microsecond', 'epoch') AS minute,
           price, volume, trade_count, row_number
    FROM import_trades
) AS trades
GROUP BY minute
ORDER BY minute
