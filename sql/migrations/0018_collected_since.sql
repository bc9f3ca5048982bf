-- Since when a pair is collected: what is missing before that, such as beside imported trades, was never lost.

alter table collector_position
    add column since timestamptz not null default now();
update collector_position set since = least("timestamp", (
    select "timestamp" from trade_data
    where trade_data.exchange = collector_position.exchange and trade_data.pair = collector_position.pair
      and trade_data.received_at < trade_data."timestamp" + interval '1 hour'
    order by "timestamp" limit 1));
