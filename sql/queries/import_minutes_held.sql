-- Which minutes the staged rows at fault may belong to: their own, or where their time cannot be read those of the rows
-- before and after them. Parameter: rows.
SELECT row_number, coalesce(minute, before, after) AS since, coalesce(minute, after, before) AS until,
       minute IS NOT NULL AS placed
FROM (
    SELECT row_number, minute,
           max(minute) OVER (ORDER BY row_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
           min(minute) OVER (ORDER BY row_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS after
    FROM (
        SELECT row_number,
               CASE WHEN age_s >= 0 THEN
                   date_bin(interval '1 minute', timestamptz 'epoch' + microseconds * interval '1 microsecond', 'epoch')
               END AS minute
        FROM import_trades
    ) AS timed
) AS placed
WHERE row_number = ANY(%(rows)s) AND coalesce(minute, before, after) IS NOT NULL
ORDER BY row_number
