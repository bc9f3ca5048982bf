-- Writes down that there is no trade of an id. Parameters: exchange, pair, trade_id, made, reason.
SELECT count(*) FROM explain_trade(%(exchange)s, %(pair)s, %(trade_id)s, %(made)s, %(reason)s)
