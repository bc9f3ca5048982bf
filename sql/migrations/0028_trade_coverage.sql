-- Of which time all trades of a pair are stored: what a candle made of trades rests on when it is closed.
create table trade_coverage (
    exchange text not null,
    pair text not null,
    since timestamptz not null,
    until timestamptz not null,
    received_at timestamptz not null default now(),
    primary key (exchange, pair, since),
    check (since < until)
);

-- Candles of an older version took open, high and low of longer windows from minutes without trades, and were closed when
-- their window had ended, known whole or not: what is stored is to be looked over once, from its oldest day on.
create table candle_repairs (
    exchange text not null,
    symbol text not null,
    since timestamptz not null,
    until timestamptz not null,
    position timestamptz not null,
    corrected bigint not null default 0,
    closed bigint not null default 0,
    reopened bigint not null default 0,
    made bigint not null default 0,
    finished_at timestamptz,
    received_at timestamptz not null default now(),
    primary key (exchange, symbol),
    check (since <= position and position <= until)
);
insert into candle_repairs (exchange, symbol, since, until, position)
select exchange, symbol, date_bin(interval '24 hours', min(window_start), 'epoch'),
       date_bin(interval '24 hours', max(window_start), 'epoch') + interval '24 hours',
       date_bin(interval '24 hours', min(window_start), 'epoch')
from (
    select exchange, symbol, window_start from candles where timeframe <> '1d'
    union all
    select exchange, symbol, window_start from cold_storage.candles where timeframe <> '1d'
) shorter
group by exchange, symbol;

-- Differences that may be judged again are looked for with every batch of trades.
create index candle_differences_judged on candle_differences (window_start) where cause <> 'late_trades';
