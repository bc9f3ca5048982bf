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
