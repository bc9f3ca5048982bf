-- Brings candle_gaps and completeness in line with the candles of a range: how many windows each change is about.
-- Parameters: exchange, symbol, timeframe, since, until.
SELECT status, label, count(*), sum(missing)::bigint
FROM record_candle_gaps(%(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s)
GROUP BY status, label
