-- Where a collector goes on after a restart: up to trade_id every trade of the pair is at the broker or in trade_gaps.
create table collector_position (
    exchange text not null,
    pair text not null,
    trade_id bigint not null check (trade_id >= 0),
    timestamp timestamptz not null,
    received_at timestamptz not null default now(),
    primary key (exchange, pair)
);
comment on table collector_position is
    'Up to trade_id, made at timestamp or later, every trade of the pair is at the broker or in trade_gaps.';
