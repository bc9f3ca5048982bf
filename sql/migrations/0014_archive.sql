-- What leaves the database is archived first: for how long each table keeps its rows, and which files hold the rest.

alter table tiering_policy add column if not exists history_age interval;

create table retention_policy (
    subject text primary key,
    kept interval check (kept > interval '0')
);
insert into retention_policy (subject, kept)
values ('ticker_data', '90 days'), ('trade_data', '30 days'), ('exchange_candles', '30 days'),
       ('alert_data', '90 days'), ('sentiment_data', '365 days'), ('prediction_data', '365 days'),
       ('analytics_data', '90 days'), ('anomaly_data', '365 days'), ('market_data', '365 days'),
       ('fear_greed_data', null);

create table archive_files (
    subject text not null,
    exchange text not null default '',
    symbol text not null default '',
    timeframe text not null default '',
    since timestamptz not null,
    until timestamptz not null,
    month date not null generated always as (date_trunc('month', since at time zone 'UTC')::date) stored,
    revision integer not null default 1 check (revision >= 1),
    path text not null unique,
    rows bigint not null check (rows > 0),
    first_at timestamptz not null,
    last_at timestamptz not null,
    bytes bigint not null check (bytes > 0),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    schema_version integer not null,
    written_at timestamptz not null default now(),
    verified_at timestamptz not null default now(),
    status text not null default 'sound' check (status in ('sound', 'damaged', 'absent')),
    restored_until timestamptz,
    primary key (subject, exchange, symbol, timeframe, since),
    check (since <= first_at and first_at <= last_at and last_at < until)
);
create index archive_files_troubled on archive_files (status) where status <> 'sound';
