-- How complete each series is over the days of a range. Parameters: exchange, symbol, timeframe (empty: all), since, until.
SELECT exchange, symbol, timeframe, min(day) AS since, max(checked_until) AS checked_until,
       sum(expected)::bigint AS expected, sum(stored)::bigint AS stored, sum(no_trades)::bigint AS no_trades,
       sum(source_missing)::bigint AS source_missing, sum(lost_by_us)::bigint AS lost_by_us,
       sum(unexplained)::bigint AS unexplained, sum(healed)::bigint AS healed,
       count(*) FILTER (WHERE stored + no_trades < expected) AS incomplete_days, count(*) AS days
FROM completeness
WHERE (%(exchange)s::text IS NULL OR exchange = %(exchange)s) AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
  AND day >= %(since)s::date AND day <= %(until)s::date
GROUP BY exchange, symbol, timeframe
ORDER BY exchange, symbol, timeframe_length(timeframe)
