-- What the gate needs: the outbox of what was fetched, the memory of what was published, quarantine that can be worked
-- through, and the documents that reports are made of.

create table staging (
    subject text not null,
    key text not null,
    series text not null,
    number bigint generated always as identity,
    payload jsonb not null,
    origin jsonb not null default '{}',
    run text not null,
    staged_at timestamptz not null default clock_timestamp(),
    passed_at timestamptz,
    primary key (subject, key)
);
create index staging_waiting on staging (subject, number);

create table published_keys (
    subject text not null,
    key text not null,
    published_at timestamptz not null default clock_timestamp(),
    primary key (subject, key)
);
create index published_keys_age on published_keys (subject, published_at);

-- Rows of before this migration have no key: each is its own series.
alter table quarantine
    add column key text,
    add column series text,
    add column run text,
    add column occurrences bigint not null default 1 check (occurrences >= 1),
    add column last_seen_at timestamptz not null default now(),
    add column discarded_at timestamptz,
    add column resolved_by text,
    add check (released_at is null or discarded_at is null);
drop index quarantine_open;
create unique index quarantine_open on quarantine (subject, series)
    where released_at is null and discarded_at is null;
create index quarantine_discarded on quarantine (subject, key) where discarded_at is not null;
create index quarantine_read on quarantine (created_at desc);

create table quality_documents (
    asset text not null,
    evaluated_at timestamptz not null,
    run text not null,
    suite text not null,
    success boolean not null,
    failed text[] not null default '{}',
    turned boolean not null default true,
    document jsonb not null,
    primary key (asset, evaluated_at)
);
create index quality_documents_read on quality_documents (evaluated_at desc);
create index quality_results_age on quality_results (evaluated_at);
