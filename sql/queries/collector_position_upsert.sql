insert into collector_position (exchange, pair, trade_id, timestamp, since)
values (%(exchange)s, %(pair)s, %(trade_id)s, %(timestamp)s, %(timestamp)s)
on conflict (exchange, pair) do update
set trade_id = excluded.trade_id, timestamp = excluded.timestamp, received_at = now();
