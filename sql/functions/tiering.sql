-- Old rows move to cold_storage: deleted and inserted by one statement, so that a row is always in exactly one place.
-- A call moves about batch_rows rows, the oldest of a timeframe first, and returns how many; call again until it returns
-- 0. A batch ends between two instants: found by counting along the key, it is moved as one range without a join. A row
-- that is in both places (it was written anew) is settled before, which is cheaper than an upsert of all rows; it counts
-- as moved, so that a batch of nothing else does not pass for the last.

create or replace function tier_old_candles(batch_rows integer default 10000) returns bigint
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
declare
    due record;
    since timestamptz;
    until timestamptz;
    step bigint;
    moved bigint := 0;
begin
    perform lock_tiering(shared => false);
    for due in
        select timeframe, now() - hot_age - timeframe_length(timeframe) as last_start
        from tiering_policy
        where subject = 'candles' and hot_age is not null
        order by hot_age
    loop
        exit when moved >= batch_rows;
        select window_start into since from candles
        where timeframe = due.timeframe and window_start <= due.last_start
        order by window_start limit 1;
        continue when not found;
        select window_start into until from candles
        where timeframe = due.timeframe and window_start between since and due.last_start
        order by window_start offset batch_rows - moved limit 1;
        until := case when until is null then due.last_start + interval '1 microsecond'
                      when until = since then until + interval '1 microsecond' else until end;
        if exists (
            select from cold_storage.candles
            where timeframe = due.timeframe and window_start >= since and window_start < until
        ) then
            delete from candles hot using cold_storage.candles cold
            where cold.window_start = hot.window_start and cold.exchange = hot.exchange
              and cold.symbol = hot.symbol and cold.timeframe = hot.timeframe
              and cold.window_start >= since and cold.window_start < until and hot.window_start >= since
              and hot.window_start < until and hot.timeframe = due.timeframe
              and hot.source = 'stream' and cold.source = 'rest';
            get diagnostics step = row_count;
            moved := moved + step;
            delete from cold_storage.candles cold using candles hot
            where cold.window_start = hot.window_start and cold.exchange = hot.exchange
              and cold.symbol = hot.symbol and cold.timeframe = hot.timeframe
              and cold.window_start >= since and cold.window_start < until and hot.window_start >= since
              and hot.window_start < until and hot.timeframe = due.timeframe;
        end if;
        with gone as (
            delete from candles
            where timeframe = due.timeframe and window_start >= since and window_start < until
            returning *
        )
        insert into cold_storage.candles select * from gone;
        get diagnostics step = row_count;
        moved := moved + step;
    end loop;
    return moved;
end
$$;
comment on function tier_old_candles(integer) is
    'Moves one batch of candles older than their timeframe''s hot age to cold_storage; returns the number of rows that left, those included that cold_storage has better';

create or replace function tier_old_indicators(batch_rows integer default 10000) returns bigint
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
declare
    due record;
    since timestamptz;
    until timestamptz;
    step bigint;
    moved bigint := 0;
begin
    perform lock_tiering(shared => false);
    for due in
        select timeframe, now() - hot_age - timeframe_length(timeframe) as last_start
        from tiering_policy
        where subject = 'indicators' and hot_age is not null
        order by hot_age
    loop
        exit when moved >= batch_rows;
        select window_start into since from indicators
        where timeframe = due.timeframe and window_start <= due.last_start
        order by window_start limit 1;
        continue when not found;
        select window_start into until from indicators
        where timeframe = due.timeframe and window_start between since and due.last_start
        order by window_start offset batch_rows - moved limit 1;
        until := case when until is null then due.last_start + interval '1 microsecond'
                      when until = since then until + interval '1 microsecond' else until end;
        if exists (
            select from cold_storage.indicators
            where timeframe = due.timeframe and window_start >= since and window_start < until
        ) then
            delete from cold_storage.indicators cold using indicators hot
            where cold.window_start = hot.window_start and cold.exchange = hot.exchange
              and cold.symbol = hot.symbol and cold.timeframe = hot.timeframe
              and cold.window_start >= since and cold.window_start < until and hot.window_start >= since
              and hot.window_start < until and hot.timeframe = due.timeframe;
        end if;
        with gone as (
            delete from indicators
            where timeframe = due.timeframe and window_start >= since and window_start < until
            returning *
        )
        insert into cold_storage.indicators select * from gone;
        get diagnostics step = row_count;
        moved := moved + step;
    end loop;
    return moved;
end
$$;
comment on function tier_old_indicators(integer) is
    'Moves one batch of indicators older than their timeframe''s hot age to cold_storage; returns the number of rows';

create or replace function tier_old_news(batch_rows integer default 10000) returns bigint
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
declare
    last timestamptz;
    since timestamptz;
    until timestamptz;
    settled bigint := 0;
    moved bigint;
begin
    perform lock_tiering(shared => false);
    select now() - hot_age into last from tiering_policy where subject = 'news';
    select "timestamp" into since from article_data where "timestamp" <= last order by "timestamp" limit 1;
    select "timestamp" into until from article_data
    where "timestamp" between since and last
    order by "timestamp" offset batch_rows limit 1;
    until := case when until is null then last + interval '1 microsecond'
                  when until = since then until + interval '1 microsecond' else until end;
    if exists (select from cold_storage.article_data where "timestamp" >= since and "timestamp" < until) then
        delete from article_data hot using cold_storage.article_data cold
        where cold."timestamp" = hot."timestamp" and cold.website = hot.website and cold.article_id = hot.article_id
          and hot."timestamp" >= since and hot."timestamp" < until and hot.revision < cold.revision;
        get diagnostics settled = row_count;
        delete from cold_storage.article_data cold using article_data hot
        where cold."timestamp" = hot."timestamp" and cold.website = hot.website and cold.article_id = hot.article_id
          and hot."timestamp" >= since and hot."timestamp" < until;
    end if;
    with gone as (
        delete from article_data where "timestamp" >= since and "timestamp" < until returning *
    )
    insert into cold_storage.article_data select * from gone;
    get diagnostics moved = row_count;
    return settled + moved;
end
$$;
comment on function tier_old_news(integer) is
    'Moves one batch of articles older than their hot age to cold_storage; returns the number of rows that left, those included that cold_storage has newer';

create or replace function recall_candles(exchanges text[], pairs text[], instants timestamptz[]) returns bigint
language plpgsql
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    moved bigint;
begin
    perform lock_tiering(shared => true);
    -- With the timeframe the index of a series serves, whatever else is of those days.
    with touched as materialized (
        select exchange, pair, day, timeframe
        from (
            select distinct exchange, pair, date_bin(interval '24 hours', instant, 'epoch') as day
            from unnest(exchanges, pairs, instants) given (exchange, pair, instant)
        ) days, unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe
    ), gone as (
        delete from cold_storage.candles cold using touched
        where cold.exchange = touched.exchange and cold.symbol = touched.pair and cold.timeframe = touched.timeframe
          and cold.window_start >= touched.day and cold.window_start < touched.day + interval '24 hours'
          and cold.window_start >= (select min(day) from touched)
          and cold.window_start < (select max(day) + interval '24 hours' from touched)
        returning cold.*
    ), back as (
        insert into candles select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do nothing
    )
    select count(*) into moved from gone;
    return moved;
end
$$;
comment on function recall_candles(text[], text[], timestamptz[]) is
    'Brings the days that the instants touch back from cold_storage, so that old candles can be corrected in one place; call it before writing candles of a day that is partly older than a hot age or a week';

create or replace function recall_windows(exchange text, symbol text, timeframe text, starts timestamptz[]) returns bigint
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    moved bigint;
begin
    perform lock_tiering(shared => true);
    with gone as (
        delete from cold_storage.candles
        where exchange = recall_windows.exchange and symbol = recall_windows.symbol
          and timeframe = recall_windows.timeframe and window_start = any(starts)
          and window_start >= (select min(start) from unnest(starts) start)
          and window_start <= (select max(start) from unnest(starts) start)
        returning *
    ), back as (
        insert into candles select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do nothing
    )
    select count(*) into moved from gone;
    return moved;
end
$$;
comment on function recall_windows(text, text, text, timestamptz[]) is
    'Brings these candles of one series back from cold_storage, and no others: for candles that nothing longer is made of';

create or replace function recall_fetched(exchange text, symbol text, timeframe text, starts timestamptz[]) returns bigint
language plpgsql
set jit = off
as $$
declare
    first constant timestamptz := (select min(date_bin(interval '24 hours', start, 'epoch')) from unnest(starts) start);
begin
    if first < now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles')) then
        -- The longer candles are made of all minutes of their day; of candles that are longer themselves nothing is.
        if timeframe = '1m' then
            return recall_candles(array_fill(exchange, array[cardinality(starts)]),
                                  array_fill(symbol, array[cardinality(starts)]), starts);
        end if;
        return recall_windows(exchange, symbol, timeframe, starts);
    end if;
    return 0;
end
$$;
comment on function recall_fetched(text, text, text, timestamptz[]) is
    'Brings back from cold_storage what candles of one series with these starts are written beside. In a transaction of its own before that the stream need not wait for it';

create or replace function compress_cold(again boolean default false) returns bigint
language plpgsql
set jit = off
security definer
set search_path = public, pg_temp
as $$
declare
    chunk record;
begin
    if edition() <> 'community' then
        return 0;
    end if;
    for chunk in execute
        $query$
        select format('%I.%I', info.chunk_schema, info.chunk_name) as name
        from timescaledb_information.chunks info
        join _timescaledb_catalog.chunk known
            on known.schema_name = info.chunk_schema and known.table_name = info.chunk_name
        where info.hypertable_schema = 'cold_storage'
          and (not info.is_compressed or $1 and known.status & 8 = 8)
          and info.range_end < now() - coalesce((
              select min(hot_age) from tiering_policy
              where subject = case info.hypertable_name when 'article_data' then 'news' else info.hypertable_name end
          ), interval '7 days')
        $query$
        using again
    loop
        perform lock_tiering(shared => false);
        execute format('select compress_chunk(%L)', chunk.name);
        return 1;
    end loop;
    return 0;
end
$$;
comment on function compress_cold(boolean) is
    'Puts a whole chunk of cold_storage into the columnstore where the edition has one; returns how many, 1 or 0: call again until it returns 0. Rows that come later lie beside it: with `again` those go there too';

do $$
begin
    revoke all on function compress_cold(boolean) from public;
    if exists (select from pg_roles where rolname = 'cryptoviz_writer') then
        grant execute on function compress_cold(boolean) to cryptoviz_writer;
    end if;
end
$$;
