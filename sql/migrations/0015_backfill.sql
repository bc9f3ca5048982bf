-- The batch layer: what was fetched waits in staged_candles until it is judged, and how far the history of a series got.

create table staged_candles (
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    origin text not null,
    number bigint generated always as identity,
    window_start timestamptz,
    window_end timestamptz,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    trade_count bigint,
    staged_at timestamptz not null default clock_timestamp(),
    primary key (exchange, symbol, timeframe, origin, number)
);

alter table backfill_progress
    add column published_ts timestamptz,
    add column covered_from timestamptz,
    add column from_first boolean not null default false,
    add column attempts integer not null default 0 check (attempts >= 0),
    add column due_at timestamptz;

-- greatest() leaves out what is not known: a pair without an end was listed never.
alter table instruments drop column listed;
alter table instruments add column listed tstzrange generated always as (
    tstzrange(listed_from,
              case when status = 'delisted' then greatest(listed_from, coalesce(listed_to, seen_to))
                   when listed_to is not null then greatest(listed_from, listed_to) end)
) stored;
