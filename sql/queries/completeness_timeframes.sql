-- How complete the history is, by exchange and timeframe: candles, and days of series.
SELECT exchange, timeframe, count(DISTINCT symbol) AS series, min(day) AS since, max(checked_until) AS checked_until,
       sum(expected)::bigint AS expected, sum(stored)::bigint AS stored, sum(no_trades)::bigint AS no_trades,
       sum(source_missing)::bigint AS source_missing, sum(lost_by_us)::bigint AS lost_by_us,
       sum(unexplained)::bigint AS unexplained, sum(healed)::bigint AS healed,
       count(*) FILTER (WHERE stored + no_trades = expected) AS complete_days,
       count(*) FILTER (WHERE stored + no_trades < expected) AS lacking_days
FROM completeness
GROUP BY exchange, timeframe
ORDER BY exchange, timeframe_length(timeframe)
