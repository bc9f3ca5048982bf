-- What the proof of completeness needs: when a pair was listed, when a gap is asked about again, what every day has and
-- lacks, and how candles that were fetched differ from those that the trades had come to.

alter table instruments
    add column listed_from timestamptz,
    add column listed_to timestamptz,
    add column listed tstzrange generated always as (
        tstzrange(listed_from, greatest(listed_from, case when status = 'delisted' then coalesce(listed_to, seen_to)
                                                          else listed_to end))
    ) stored;

alter table candle_gaps
    add column confirmations integer not null default 0 check (confirmations >= 0),
    add column asked_at timestamptz,
    add column due_at timestamptz default now();
update candle_gaps set due_at = null where status in ('healed', 'explained');
create index candle_gaps_missing on candle_gaps (exchange, symbol, timeframe, gap_start) where status <> 'healed';
create index candle_gaps_due on candle_gaps (due_at) where status in ('open', 'healing', 'failed');

alter table trade_gaps
    add column confirmations integer not null default 0 check (confirmations >= 0),
    add column asked_at timestamptz,
    add column due_at timestamptz,
    add column made_after timestamptz,
    add column made_before timestamptz;
create index trade_gaps_due on trade_gaps (due_at) where status in ('open', 'healing', 'failed');

create table completeness (
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    day date not null,
    expected bigint not null check (expected >= 0),
    stored bigint not null check (stored >= 0),
    no_trades bigint not null default 0 check (no_trades >= 0),
    source_missing bigint not null default 0 check (source_missing >= 0),
    lost_by_us bigint not null default 0 check (lost_by_us >= 0),
    unexplained bigint not null default 0 check (unexplained >= 0),
    healed bigint not null default 0 check (healed >= 0),
    checked_until timestamptz not null,
    updated_at timestamptz not null default now(),
    primary key (exchange, symbol, timeframe, day),
    check (expected = stored + no_trades + source_missing + lost_by_us + unexplained)
);
create index completeness_lacking on completeness (day) where stored < expected;

create table candle_differences (
    window_start timestamptz not null,
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    stream_open numeric not null,
    stream_high numeric not null,
    stream_low numeric not null,
    stream_close numeric not null,
    stream_volume numeric not null,
    stream_trade_count bigint not null,
    rest_open numeric not null,
    rest_high numeric not null,
    rest_low numeric not null,
    rest_close numeric not null,
    rest_volume numeric not null,
    rest_trade_count bigint not null,
    cause text check (cause in ('missing_trades', 'late_trades', 'rounding', 'source_revised', 'unexplained')),
    detail jsonb not null default '{}',
    found_at timestamptz not null default now(),
    explained_at timestamptz,
    primary key (window_start, exchange, symbol, timeframe),
    check ((cause is null) = (explained_at is null))
);
create index candle_differences_open on candle_differences (found_at) where cause is null;
