-- What the pollers of market overviews and of the mood remember between their runs: the circuit breaker of each source,
-- how long it asked to be left alone, and how much of its quotas is used.

create table source_states (
    source text primary key,
    breaker text not null default 'closed' check (breaker in ('closed', 'open', 'half-open')),
    failures integer not null default 0 check (failures >= 0),
    successes integer not null default 0 check (successes >= 0),
    opened_at timestamptz,
    paused_until timestamptz,
    paused_because text,
    memory jsonb not null default '{}',
    asked_at timestamptz,
    succeeded_at timestamptz,
    failed_at timestamptz,
    failure text
);

create table source_quotas (
    source text not null,
    period text not null check (period in ('minute', 'day', 'month')),
    starts_at timestamptz not null,
    used bigint not null check (used >= 0),
    allowed bigint not null check (allowed >= 0),
    primary key (source, period)
);
