-- Publishes the staged trades, but for those that are stored meanwhile. Parameters: exchange, pair.
INSERT INTO trade_data ("timestamp", exchange, pair, trade_id, price, volume, side)
SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond', %(exchange)s, %(pair)s, trade_id, price, volume, side
FROM import_trades
ON CONFLICT DO NOTHING
