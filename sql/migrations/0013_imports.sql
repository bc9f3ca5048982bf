-- How far each imported file has come: a position that is committed together with the rows before it.

create table import_progress (
    fingerprint text not null,
    kind text not null check (kind in ('trades', 'candles')),
    exchange text not null,
    symbol text not null,
    file text not null,
    format text not null,
    timeframe text not null default '',
    status text not null default 'in_progress' check (status in ('in_progress', 'completed', 'failed')),
    bytes_read bigint not null default 0 check (bytes_read >= 0),
    rows_read bigint not null default 0 check (rows_read >= 0),
    rows_stored bigint not null default 0 check (rows_stored >= 0),
    rows_known bigint not null default 0 check (rows_known >= 0),
    rows_quarantined bigint not null default 0 check (rows_quarantined >= 0),
    first_ts timestamptz,
    last_ts timestamptz,
    candles_from timestamptz,
    candles_until timestamptz,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (fingerprint, kind, exchange, symbol),
    check ((candles_from is null) = (candles_until is null))
);
create index import_progress_read on import_progress (updated_at desc);
