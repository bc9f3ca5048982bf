-- The windows of one timeframe of a pair in a range that candles_settle would do something about; takes no lock.
-- Parameters: exchange, pair, timeframe, since, until, reopen.
SELECT DISTINCT bucket
FROM candle_corrections(%(exchange)s, %(pair)s, %(timeframe)s, %(since)s, %(until)s, %(reopen)s)
ORDER BY bucket
