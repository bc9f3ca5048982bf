-- Brings trade_gaps in line with the trades of a range: how many ids each change is about.
-- Parameters: exchange, pair, since, until.
SELECT status, label, count(*), sum(last_missing_id - first_missing_id + 1)::bigint
FROM record_trade_gaps(%(exchange)s, %(pair)s, %(since)s, %(until)s)
GROUP BY status, label
