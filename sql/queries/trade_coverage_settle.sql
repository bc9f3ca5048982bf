-- Looks at the ids of an hour of a pair's trades: where to go on. Parameters: exchange, pair, since, until.
SELECT settle_coverage(%(exchange)s, %(pair)s, %(since)s, %(until)s)
