-- Rows that leave the database. Their copy in the archive was read back into the database and compared before; what is
-- removed here is compared with it once more, in the statement or under the lock that removes it.
--
--   due_for_archive --> archive_digest, copy, read back, archive_digest --> remove_archived + row in archive_files
--
-- A digest is a sum over the rows, whatever their order. Equal numbers hash alike: 1.10 is 1.1.

create or replace function archive_where(time_column name, since timestamptz, until timestamptz, series jsonb)
returns text
language sql immutable
return format('%I >= %L and %I < %L', time_column, since, time_column, until)
       || coalesce((select string_agg(format(' and %I = %L', key, value), '' order by key)
                    from jsonb_each_text(series)), '');
comment on function archive_where(name, timestamptz, timestamptz, jsonb) is
    'The condition that selects the rows of a range, of one series (column -> value) or of all';

create or replace function archive_digest(relation regclass, condition text, out rows bigint, out digest numeric)
language plpgsql
set jit = off
as $$
begin
    execute format('select count(*), coalesce(sum(hash_record_extended(held, 0)), 0) from %s held where %s',
                   relation, condition)
    into rows, digest;
end
$$;
comment on function archive_digest(regclass, text) is 'How many rows of a table meet a condition, and what they come to';

create or replace function archive_oldest(relation regclass, time_column name, since timestamptz, until timestamptz)
returns timestamptz
language plpgsql stable
set jit = off
as $$
declare
    oldest timestamptz;
begin
    execute format('select %1$I from %2$s where %1$I >= $1 and %1$I < $2 order by %1$I limit 1', time_column, relation)
    into oldest
    using since, until;
    return oldest;
end
$$;
comment on function archive_oldest(regclass, name, timestamptz, timestamptz) is
    'The time of the oldest row of a table in a range; null: it has none';

create or replace function due_for_archive(subject text, at timestamptz)
returns table (exchange text, symbol text, timeframe text, since timestamptz, until timestamptz)
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
declare
    policy record;
begin
    if due_for_archive.subject not in ('candles', 'indicators') then
        raise exception 'only candles and indicators are archived by series, not %', due_for_archive.subject;
    end if;
    for policy in
        select timeframe, at - greatest(hot_age + cold_age, history_age) as border
        from tiering_policy
        where subject = due_for_archive.subject and hot_age is not null and cold_age is not null
    loop
        return query execute format(
            'select exchange, symbol, %2$L, since, until
             from (
                 select exchange, symbol, date_trunc(''month'', window_start, ''UTC'') as since,
                        date_trunc(''month'', window_start, ''UTC'') + interval ''1 month'' as until
                 from cold_storage.%1$I
                 where timeframe = %2$L and window_start < %3$L
                 group by 1, 2, 3
             ) months
             where until <= least(%3$L, %4$L::timestamptz - coalesce((
                 select max(history_days) from crypto_configuration configured
                 where configured.exchange = months.exchange and configured.pair = months.symbol
             ), 0) * interval ''1 day'')
             order by since, exchange, symbol',
            due_for_archive.subject, policy.timeframe, policy.border, at);
    end loop;
end
$$;
comment on function due_for_archive(text, timestamptz) is
    'The whole months of each series that are to leave cold_storage: older than both ages and than the configured history';

create or replace function drop_chunk(relation regclass, since timestamptz, until timestamptz) returns void
language plpgsql
set jit = off
as $$
declare
    patience constant text := current_setting('lock_timeout');
begin
    for attempt in 1..300 loop
        begin
            perform set_config('lock_timeout', '50ms', true);
            execute format('select drop_chunks(%L::regclass, older_than => %L::timestamptz, newer_than => %L::timestamptz)',
                           relation, until, since);
            perform set_config('lock_timeout', patience, true);
            return;
        exception when lock_not_available then
            perform pg_sleep(0.05 + 0.1 * random());
        end;
    end loop;
    raise exception 'rows of % are being read all the time', relation using errcode = 'lock_not_available';
end
$$;
comment on function drop_chunk(regclass, timestamptz, timestamptz) is
    'Drops the chunk of a range. A reader keeps it from that, and whoever writes to the table would wait behind the one who waits for the reader: so that is for a moment only, again and again for half a minute';

create or replace function remove_archived(
    relation regclass, time_column name, since timestamptz, until timestamptz, series jsonb, expected_rows bigint,
    expected_digest numeric)
returns bigint
language plpgsql
set jit = off
security definer
set search_path = public, pg_temp
as $$
declare
    condition constant text := archive_where(time_column, since, until, series);
    removed record;
    chunk record;
    whole boolean := true;
    drops tstzrange[] := '{}';
begin
    if exists (select from pg_class where oid = relation and relnamespace = 'cold_storage'::regnamespace) then
        perform lock_tiering(shared => false);
    end if;
    -- A table that is split by time is freed by dropping whole chunks: nobody may write to them meanwhile.
    if edition() <> 'plain' and series = '{}' then
        for chunk in execute
            'select format(''%I.%I'', chunk_schema, chunk_name) as name, range_start, range_end
             from timescaledb_information.chunks
             where format(''%I.%I'', hypertable_schema, hypertable_name)::regclass = $1
               and range_start < $3 and range_end > $2
             order by range_start'
            using relation, since, until
        loop
            whole := whole and chunk.range_start >= since and chunk.range_end <= until;
            exit when not whole;
            execute format('lock table %s in share row exclusive mode', chunk.name);
            drops := drops || tstzrange(chunk.range_start, chunk.range_end);
        end loop;
    end if;
    whole := whole and cardinality(drops) > 0;
    if whole then
        select * into removed from archive_digest(relation, condition);
    else
        execute format('with gone as (delete from %s where %s returning *) '
                       'select count(*) as rows, coalesce(sum(hash_record_extended(gone, 0)), 0) as digest from gone',
                       relation, condition)
        into removed;
    end if;
    if (removed.rows, removed.digest) is distinct from (expected_rows, expected_digest) then
        raise exception 'rows of % changed while they were being archived', relation
            using errcode = 'serialization_failure';
    end if;
    for i in 1..case when whole then cardinality(drops) else 0 end loop
        perform drop_chunk(relation, lower(drops[i]), upper(drops[i]));
    end loop;
    return removed.rows;
end
$$;
comment on function remove_archived(regclass, name, timestamptz, timestamptz, jsonb, bigint, numeric) is
    'Removes the rows of a range if they still come to the digest, whole chunks at once where no series is given; else it raises a serialization failure and removes nothing';

create or replace function drop_empty_chunks(relation regclass, before timestamptz) returns bigint
language plpgsql
set jit = off
security definer
set search_path = public, pg_temp
as $$
declare
    chunk record;
    empty boolean;
    dropped bigint := 0;
    began timestamptz;
begin
    if edition() = 'plain' then
        return 0;
    end if;
    for chunk in execute
        'select format(''%I.%I'', chunk_schema, chunk_name) as name, range_start, range_end
         from timescaledb_information.chunks
         where format(''%I.%I'', hypertable_schema, hypertable_name)::regclass = $1 and range_end <= $2'
        using relation, before
    loop
        execute format('select not exists (select from %1$s where %2$I >= %3$L and %2$I < %4$L)', relation, (
            select attname from pg_attribute join pg_index on indrelid = attrelid and attnum = indkey[0]
            where attrelid = relation and indisprimary), chunk.range_start, chunk.range_end) into empty;
        continue when not empty;
        began := coalesce(began, clock_timestamp());
        execute format('lock table %s in share row exclusive mode', chunk.name);
        execute format('select not exists (select from %s)', chunk.name) into empty;
        if empty then
            perform drop_chunk(relation, chunk.range_start, chunk.range_end);
            dropped := dropped + 1;
        end if;
        exit when dropped > 0 and clock_timestamp() - began > interval '50 milliseconds';
    end loop;
    return dropped;
end
$$;
comment on function drop_empty_chunks(regclass, timestamptz) is
    'Drops chunks of a table that end before an instant and have no rows left, for a moment only: call again until it returns 0. Returns how many';

do $$
declare
    name text;
begin
    foreach name in array array[
        'remove_archived(regclass, name, timestamptz, timestamptz, jsonb, bigint, numeric)',
        'drop_empty_chunks(regclass, timestamptz)'
    ] loop
        execute format('revoke all on function %s from public', name);
        if exists (select from pg_roles where rolname = 'cryptoviz_writer') then
            execute format('grant execute on function %s to cryptoviz_writer', name);
        end if;
    end loop;
end
$$;
