-- Which closed candles were written since their indicators were computed. Only ever appended to by those who write
-- candles, so that they wait for nobody: who computes takes the rows out and computes in one transaction.
create table indicator_changes (
    number bigint generated always as identity primary key,
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    first_start timestamptz not null,
    last_start timestamptz not null,
    noted_at timestamptz not null default now(),
    check (last_start >= first_start)
);

insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start)
select exchange, symbol, timeframe, min(window_start), max(window_start)
from all_candles
where closed
group by exchange, symbol, timeframe;

-- What the next candle of each series needs (see sql/functions/indicators.sql). Written each minute: no second index, so
-- that a new version of a row stays on its page.
create table indicator_states (
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    window_start timestamptz not null,
    state double precision[] not null check (cardinality(state) = 28),
    primary key (exchange, symbol, timeframe)
) with (fillfactor = 40);
