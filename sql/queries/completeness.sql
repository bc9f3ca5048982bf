-- How complete the history is.

-- name: completeness_days
-- What the days of a range have and lack, newest first.
-- Parameters: exchange, symbol, timeframe (empty: all), since, until, incomplete (only such days), limit.
SELECT exchange, symbol, timeframe, day, expected, stored, no_trades, source_missing, lost_by_us, unexplained, healed,
       checked_until, updated_at
FROM completeness
WHERE (%(exchange)s::text IS NULL OR exchange = %(exchange)s) AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
  AND day >= %(since)s::date AND day <= %(until)s::date
  AND (NOT %(incomplete)s OR stored + no_trades < expected)
ORDER BY day DESC, exchange, symbol, timeframe_length(timeframe)
LIMIT %(limit)s

-- name: completeness_minutes
-- What each day of minutes has and lacks, by exchange, the oldest first. Parameters: since, until (days).
SELECT exchange, day, sum(expected)::bigint AS expected, sum(stored)::bigint AS stored,
       sum(no_trades)::bigint AS no_trades, sum(source_missing)::bigint AS source_missing,
       sum(lost_by_us)::bigint AS lost_by_us, sum(unexplained)::bigint AS unexplained
FROM completeness
WHERE timeframe = '1m' AND day >= %(since)s::date AND day <= %(until)s::date
GROUP BY exchange, day
ORDER BY exchange, day

-- name: completeness_series
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

-- name: completeness_timeframes
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
