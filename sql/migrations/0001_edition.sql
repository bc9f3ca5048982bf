-- What this database can do, and the few words that differ by it. Nothing else in sql/ asks for the edition.
--   community: hypertables, columnstore, continuous aggregates
--   apache:    hypertables (Debian's packages; the rest is refused with a license error)
--   plain:     no extension: ordinary tables, and time_bucket, first and last supplied below

create schema cold_storage;

do $$
declare
    role_name text;
    schema_name text;
begin
    foreach schema_name in array array['public', 'cold_storage'] loop
        if exists (select from pg_roles where rolname = 'cryptoviz_writer') then
            execute format('grant usage on schema %I to cryptoviz_writer', schema_name);
            execute format('alter default privileges in schema %I grant select, insert, update, delete on tables '
                           'to cryptoviz_writer', schema_name);
            execute format('alter default privileges in schema %I grant usage, select on sequences '
                           'to cryptoviz_writer', schema_name);
        end if;
        if exists (select from pg_roles where rolname = 'cryptoviz_reader') then
            execute format('grant usage on schema %I to cryptoviz_reader', schema_name);
            execute format('alter default privileges in schema %I grant select on tables to cryptoviz_reader',
                           schema_name);
        end if;
    end loop;
    foreach role_name in array array['cryptoviz_writer', 'cryptoviz_reader'] loop
        if exists (select from pg_roles where rolname = role_name) then
            execute format('grant select on schema_migrations to %I', role_name);
        end if;
    end loop;
end
$$;

create function edition() returns text
language sql stable
as $$
    select case
        when not exists (select from pg_extension where extname = 'timescaledb') then 'plain'
        when current_setting('timescaledb.license', true) = 'apache' then 'apache'
        else 'community'
    end
$$;
comment on function edition() is 'community, apache or plain: what this database''s TimescaleDB offers';

-- A table partitioned by time where there are hypertables, and itself elsewhere.
create function make_hypertable(relation regclass, time_column name, chunk interval) returns void
language plpgsql
as $$
begin
    if edition() <> 'plain' then
        execute format('select create_hypertable(%L, by_range(%L, %L::interval), create_default_indexes => false)',
                       relation, time_column, chunk);
    end if;
end
$$;
comment on function make_hypertable(regclass, name, interval) is 'Partitions a table by time where the edition can';

-- Columnar compression of a cold table where the edition has it.
create function make_columnar(relation regclass, time_column name, segment_by text) returns void
language plpgsql
as $$
begin
    if edition() = 'community' then
        execute format('alter table %s set (timescaledb.compress, timescaledb.compress_segmentby = %L, '
                       'timescaledb.compress_orderby = %L)', relation, segment_by, quote_ident(time_column) || ' desc');
    end if;
end
$$;
comment on function make_columnar(regclass, name, text) is 'Turns on the columnstore of a table where the edition can';

-- A rollup by time: a continuous aggregate (live rows included) where the edition has them, else a view.
create function make_rollup(rollup name, definition text) returns void
language plpgsql
as $$
begin
    if edition() = 'community' then
        execute format('create materialized view %I with (timescaledb.continuous, '
                       'timescaledb.materialized_only = false) as %s with no data', rollup, definition);
    else
        execute format('create view %I as %s', rollup, definition);
    end if;
end
$$;
comment on function make_rollup(name, text) is 'Creates a continuous aggregate where the edition can, else a view';

do $$
declare
    kind text;
    label text;
begin
    if edition() <> 'plain' then
        return;
    end if;

    -- The origin is TimescaleDB's: Monday 2000-01-03 for days and below, the first of 2000 for months.
    create function time_bucket(bucket_width interval, ts timestamptz) returns timestamptz
    language sql immutable strict parallel safe
    as $f$
        select case
            when extract(year from bucket_width) = 0 and extract(month from bucket_width) = 0
                then date_bin(bucket_width, ts, '2000-01-03 00:00:00+00')
            else (make_date(
                (((extract(year from ts at time zone 'UTC') * 12 + extract(month from ts at time zone 'UTC') - 1)::int
                  / (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int)
                 * (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int) / 12,
                (((extract(year from ts at time zone 'UTC') * 12 + extract(month from ts at time zone 'UTC') - 1)::int
                  / (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int)
                 * (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int) % 12 + 1,
                1)::timestamp at time zone 'UTC')
        end
    $f$;

    foreach kind in array array['numeric', 'double precision', 'bigint', 'text'] loop
        label := replace(kind, ' ', '_');
        execute format('create type dated_%s as (value %s, at timestamptz)', label, kind);
        execute format(
            'create function first_step(state dated_%1$s, value %2$s, at timestamptz) returns dated_%1$s '
            'language sql immutable parallel safe as '
            '''select case when $3 is null or ($1).at <= $3 then $1 else row($2, $3)::dated_%1$s end''', label, kind);
        execute format(
            'create function last_step(state dated_%1$s, value %2$s, at timestamptz) returns dated_%1$s '
            'language sql immutable parallel safe as '
            '''select case when $3 is null or ($1).at >= $3 then $1 else row($2, $3)::dated_%1$s end''', label, kind);
        execute format('create function dated_value(state dated_%1$s) returns %2$s '
                       'language sql immutable parallel safe as ''select ($1).value''', label, kind);
        execute format('create aggregate first(value %2$s, at timestamptz) '
                       '(sfunc = first_step, stype = dated_%1$s, finalfunc = dated_value)', label, kind);
        execute format('create aggregate last(value %2$s, at timestamptz) '
                       '(sfunc = last_step, stype = dated_%1$s, finalfunc = dated_value)', label, kind);
    end loop;
end
$$;
