-- The minutes that the staged trades come to, oldest first; prices and amounts as text, with every digit.
-- Parameter: counted (whether the number of trades is known; else it is 0).
SELECT minute AS start, (array_agg(price ORDER BY row_number))[1]::text AS open, max(price)::text AS high, min(price)::text AS low,
       (array_agg(price ORDER BY row_number DESC))[1]::text AS close, sum(volume)::text AS volume,
       CASE WHEN %(counted)s THEN sum(coalesce(trade_count, 1))::bigint ELSE 0 END AS trade_count, min(row_number) AS number
FROM (
    SELECT date_bin(interval '1 minute', timestamptz 'epoch' + microseconds * interval '1 microsecond', 'epoch') AS minute,
           price, volume, trade_count, row_number
    FROM import_trades
) AS trades
GROUP BY minute
ORDER BY minute
