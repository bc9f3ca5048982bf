-- What is known of a series, minute by minute: only a window that is known whole is closed.
--
--   trade ids without a hole --cover_trades--> trade_coverage --\
--   closed shorter candles, fetched ones, gaps `no_trades` ------+--> known_windows --> closed
--   time before the listing ------------------------------------/
--
-- Of two trades whose ids follow each other nothing can lie between: a minute with a trade before it and one after it,
-- and every id between those stored (or known to be missing at the exchange too), is known, traded or not. The instants
-- at both ends of a stretch are not part of it: another trade may have been made at the same one.
--
-- Where an exchange numbers its trades otherwise, ids say nothing about what is missing: there each imported file of trades
-- stands for the time between its first and its last one.

create or replace function write_coverage(exchange text, pair text, stretch tstzrange, whole tstzmultirange) returns void
language plpgsql
set jit = off
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    known tstzmultirange;
begin
    select coalesce(range_agg(tstzrange(covered.since, covered.until, '()')), '{}') into known
    from trade_coverage covered
    where covered.exchange = write_coverage.exchange and covered.pair = write_coverage.pair
      and covered.since < upper(stretch) and covered.until > lower(stretch);
    if whole <@ known then
        return;
    end if;
    delete from trade_coverage covered
    where covered.exchange = write_coverage.exchange and covered.pair = write_coverage.pair
      and covered.since < upper(stretch) and covered.until > lower(stretch);
    insert into trade_coverage (exchange, pair, since, until)
    select write_coverage.exchange, write_coverage.pair, lower(part), upper(part) from unnest(known + whole) part;
end
$$;
comment on function write_coverage(text, text, tstzrange, tstzmultirange) is
    'Adds to trade_coverage the parts of a stretch of time that were found whole. The caller holds the lock of the series';

create or replace function imported_trades(exchange text, pair text, since timestamptz, until timestamptz)
returns tstzmultirange
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
declare
    -- A file may give the time of a trade that was stored before more exactly than it is stored.
    margin constant interval := interval '1 millisecond';
begin
    return (
        select coalesce(range_agg(tstzrange(first_ts, last_ts, '()')), '{}') from import_progress file
        where file.exchange = imported_trades.exchange and file.symbol = imported_trades.pair
          and file.kind = 'trades' and file.status = 'completed' and file.rows_stored > 0
          and file.first_ts < imported_trades.until and file.last_ts > imported_trades.since
          -- Of files without ids only candles are stored.
          and (select bool_and(exists (
                   select from trade_data
                   where trade_data.exchange = imported_trades.exchange and trade_data.pair = imported_trades.pair
                     and "timestamp" between at - margin and at + margin))
               from unnest(array[file.first_ts, file.last_ts]) at)
          and (file.rows_quarantined = 0 or not exists (
              select from quarantine
              where subject = 'trades_import' and quarantine_is_open(quarantine)
                and starts_with(series, file.fingerprint || ':')))
    );
end
$$;
comment on function imported_trades(text, text, timestamptz, timestamptz) is
    'The time, about a range, of the imported files of trades of a pair of which no row is undecided: from the first to the last trade of each';

create or replace function cover_trades(exchange text, pair text, since timestamptz, until timestamptz)
returns tstzrange
language plpgsql
set jit = off
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    -- Near an edge the order of ids is not that of timestamps.
    margin constant interval := interval '5 seconds';
    ends timestamptz[];
    stretch tstzrange;
    ids record;
    explained int8multirange;
    found tstzmultirange;
begin
    if not has_consecutive_ids(exchange) then
        found := imported_trades(exchange, pair, since, until);
        perform write_coverage(exchange, pair, range_merge(found), found);
        return case when isempty(found) then 'empty' else tstzrange(since, until) end;
    end if;

    -- From the trade before the last one before, to the one after the first one after: so it overlaps what is known.
    ends := array[
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" < since
         order by "timestamp" desc limit 1),
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" >= since
           and "timestamp" < until
         order by "timestamp" limit 1),
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" >= since
           and "timestamp" < until
         order by "timestamp" desc limit 1),
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" >= until
         order by "timestamp" limit 1)];
    if coalesce(ends[1], ends[2], ends[4]) is null then
        return 'empty';
    end if;
    stretch := tstzrange(
        coalesce(
            (select "timestamp" from trade_data
             where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" < ends[1]
             order by "timestamp" desc limit 1),
            ends[1], ends[2], ends[4]),
        coalesce(
            (select "timestamp" from trade_data
             where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" > ends[4]
             order by "timestamp" limit 1),
            ends[4], ends[3], ends[1]),
        '()');
    if isempty(stretch) then
        return stretch;
    end if;

    select min(trade_id) as lowest, max(trade_id) as highest, count(distinct trade_id) as stored into ids
    from trade_data
    where exchange = cover_trades.exchange and pair = cover_trades.pair
      and "timestamp" >= lower(stretch) - margin and "timestamp" <= upper(stretch) + margin;
    found := tstzmultirange(stretch);
    if ids.stored < ids.highest::numeric - ids.lowest + 1 then
        select coalesce(range_agg(int8range(first_missing_id, last_missing_id, '[]')), '{}') into explained
        from trade_gaps
        where exchange = cover_trades.exchange and pair = cover_trades.pair and status = 'explained'
          and first_missing_id <= ids.highest and last_missing_id >= ids.lowest;
        select found - coalesce(range_agg(hole.made), '{}') into found
        from (
            -- One id may be stored under two timestamps: then nothing lies between.
            select int8range(before + 1, trade_id) as ids,
                   tstzrange(least(before_at, "timestamp"), greatest(before_at, "timestamp"), '[]') as made
            from (
                select trade_id, "timestamp", lag(trade_id) over by_id as before, lag("timestamp") over by_id as before_at
                from trade_data
                where exchange = cover_trades.exchange and pair = cover_trades.pair
                  and "timestamp" >= lower(stretch) - margin and "timestamp" <= upper(stretch) + margin
                window by_id as (order by trade_id, "timestamp")
            ) following
            where before < trade_id - 1
        ) hole
        where not hole.ids <@ explained;
    end if;

    perform write_coverage(exchange, pair, stretch, found);
    return stretch;
end
$$;
comment on function cover_trades(text, text, timestamptz, timestamptz) is
    'Writes down of which time about a range all trades of a pair are stored, as their ids or the imported files say; returns the time that was looked at. The caller holds the lock of the series';

create or replace function known_windows(exchange text, symbol text, timeframe text, since timestamptz,
                                         until timestamptz)
returns table (window_start timestamptz, known_minutes bigint)
language plpgsql stable
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(known_windows.timeframe);
    from_ts constant timestamptz := date_bin(length, since, 'epoch');
    to_ts constant timestamptz := date_bin(length, until + length - interval '1 microsecond', 'epoch');
    known tstzmultirange;
begin
    if from_ts >= to_ts then
        return;
    end if;
    select coalesce(range_agg(tstzrange(date_trunc('minute', covered.since) + interval '1 minute',
                                        date_trunc('minute', covered.until))), '{}')
    into known
    from trade_coverage covered
    where covered.exchange = known_windows.exchange and covered.pair = known_windows.symbol
      and covered.since < to_ts and covered.until > from_ts
      and date_trunc('minute', covered.since) < date_trunc('minute', covered.until) - interval '1 minute';

    if not known @> tstzrange(from_ts, to_ts) then
        known := known + (
            select coalesce(range_agg(tstzrange(gap_start, gap_end)), '{}') from candle_gaps
            where exchange = known_windows.exchange and symbol = known_windows.symbol
              and label = 'no_trades' and status = 'explained' and gap_start < to_ts and gap_end > from_ts
        ) + (
            select coalesce(tstzmultirange(tstzrange(from_ts, to_ts)) - range_agg(listed), '{}') from instruments
            where exchange = known_windows.exchange and pair = known_windows.symbol
        );
    end if;
    if length > interval '1 minute' and not known @> tstzrange(from_ts, to_ts) then
        known := known + (
            select coalesce(range_agg(tstzrange(window_start, window_end)), '{}') from candles
            where exchange = known_windows.exchange and symbol = known_windows.symbol and closed
              and timeframe = any (array(
                  select shorter from unnest(array['1m', '5m', '15m', '1h']) shorter
                  where timeframe_length(shorter) < length))
              and window_start >= from_ts and window_start < to_ts);
        -- Nothing that young is cold, and a look there would cost more than all the rest.
        if from_ts < now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles')) then
            known := known + (
                select coalesce(range_agg(tstzrange(window_start, window_end)), '{}') from cold_storage.candles
                where exchange = known_windows.exchange and symbol = known_windows.symbol and closed
                  and timeframe = any (array(
                      select shorter from unnest(array['1m', '5m', '15m', '1h']) shorter
                      where timeframe_length(shorter) < length))
                  and window_start >= from_ts and window_start < to_ts);
        end if;
    end if;

    return query
    select bucket, (sum(extract(epoch from least(upper(part), bucket + length) - greatest(lower(part), bucket))) / 60)::bigint
    from unnest(known * tstzmultirange(tstzrange(from_ts, to_ts))) part
    cross join lateral generate_series(
        date_bin(length, lower(part), 'epoch'), upper(part) - interval '1 microsecond', length) bucket
    group by bucket;
end
$$;
comment on function known_windows(text, text, text, timestamptz, timestamptz) is
    'How many minutes of each window of a range are known: all their trades are stored, a shorter candle is closed, or the exchange says that there were no trades. Windows of which nothing is known are left out';

create or replace function is_known(exchange text, symbol text, timeframe text, start timestamptz) returns boolean
language plpgsql stable
set jit = off
as $$
begin
    return exists (
        select from trade_coverage covered
        where covered.exchange = is_known.exchange and covered.pair = is_known.symbol
          and covered.since < start and covered.until >= start + timeframe_length(is_known.timeframe)
    ) or exists (
        select from known_windows(is_known.exchange, is_known.symbol, is_known.timeframe, start,
                                  start + timeframe_length(is_known.timeframe))
        where known_minutes = whole_minutes(is_known.timeframe)
    );
end
$$;
comment on function is_known(text, text, text, timestamptz) is 'Whether every minute of a window is known';

create or replace function is_covered(exchange text, pair text, first timestamptz, last timestamptz) returns boolean
language sql stable
return exists (
    select from trade_coverage covered
    where covered.exchange = is_covered.exchange and covered.pair = is_covered.pair and covered.since < first
      and covered.until >= last);
comment on function is_covered(text, text, timestamptz, timestamptz) is 'Whether all trades of a window are stored';
