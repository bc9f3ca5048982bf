-- Looks over the candles of one timeframe of a pair in a range: how many changed.
-- Parameters: exchange, pair, timeframe, since, until, reopen.
SELECT corrected, closed, reopened, made, differing
FROM settle_candles(%(exchange)s, %(pair)s, %(timeframe)s, %(since)s, %(until)s, %(reopen)s)
