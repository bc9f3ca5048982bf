-- What each day of minutes has and lacks, by exchange, the oldest first. Parameters: since, until (days).
SELECT exchange, day, sum(expected)::bigint AS expected, sum(stored)::bigint AS stored,
       sum(no_trades)::bigint AS no_trades, sum(source_missing)::bigint AS source_missing,
       sum(lost_by_us)::bigint AS lost_by_us, sum(unexplained)::bigint AS unexplained
FROM completeness
WHERE timeframe = '1m' AND day >= %(since)s::date AND day <= %(until)s::date
GROUP BY exchange, day
ORDER BY exchange, day
