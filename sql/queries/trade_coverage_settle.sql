-- Looks at the ids of an hour of a pair's trades (or the files they came of), or of so many trades where there are more: where to go on.
-- Parameters: exchange, pair, since, until, trades.
SELECT settle_coverage(%(exchange)s, %(pair)s, %(since)s, %(until)s, %(trades)s)
