-- What supervision needs: how the runner of a stream is, what became of its workers, and the alerts that are open.

alter table stream_status
    add column runner_pid integer,
    add column runner_heartbeat timestamptz,
    add column generation bigint,
    add column restarts integer not null default 0 check (restarts >= 0),
    add column next_start_at timestamptz,
    add column ready_at timestamptz,
    add column progressed_at timestamptz,
    add column rows_at timestamptz,
    add column lag_zero_at timestamptz,
    add check (state in ('starting', 'running', 'stopping', 'stopped', 'restarting', 'failed'));

create table stream_events (
    name text not null,
    at timestamptz not null default clock_timestamp(),
    event text not null check (event in ('started', 'ready', 'died', 'hung', 'killed', 'stopped', 'restart_requested',
                                         'taken_over', 'recovered')),
    epoch bigint not null,
    reason text not null default '',
    detail jsonb not null default '{}',
    primary key (name, at, event)
);

create table platform_alerts (
    kind text not null,
    subject text not null,
    opened_at timestamptz not null default clock_timestamp(),
    last_seen_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    occurrences bigint not null default 1 check (occurrences >= 1),
    severity text not null check (severity in ('critical', 'warning', 'info')),
    message text not null,
    detail jsonb not null default '{}',
    primary key (kind, subject, opened_at),
    check (last_seen_at >= opened_at and closed_at >= opened_at)
);
create unique index platform_alerts_open on platform_alerts (kind, subject) where closed_at is null;
create index platform_alerts_read on platform_alerts (opened_at desc);
