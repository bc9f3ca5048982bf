-- Publishes the staged trades; none of them may be stored yet. Parameters: exchange, pair.
INSERT INTO trade_data ("timestamp", exchange, pair, trade_id, price, volume, side)
SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond', %(exchange)s, %(pair)s, trade_id, price, volume, side
FROM import_trades
