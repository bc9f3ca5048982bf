-- Trades of imported files, of minutes of which some rows are in quarantine: until these are decided nobody knows what the
-- minute's candle is.

create table held_trades (
    minute timestamptz not null,
    exchange text not null,
    symbol text not null,
    fingerprint text not null,
    row_number bigint not null,
    held boolean not null,
    price numeric check (price > 0 and price < 'Infinity'),
    volume numeric check (volume > 0 and volume < 'Infinity'),
    trade_count bigint check (trade_count >= 0),
    quiet_until timestamptz,
    settled_until timestamptz,
    received_at timestamptz not null default now(),
    primary key (minute, exchange, symbol, fingerprint, row_number),
    check (num_nulls(price, volume, trade_count) in (0, 3))
);
create index held_trades_row on held_trades (fingerprint, row_number);
