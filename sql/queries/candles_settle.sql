-- Looks over the candles of a pair of the days that a range touches: how many changed, by timeframe.
-- Parameters: exchange, pair, since, until, reopen.
SELECT timeframe, corrected, closed, reopened, made, differing
FROM settle_candles(%(exchange)s, %(pair)s, %(since)s, %(until)s, %(reopen)s)
