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
              where subject = 'trades_import' and released_at is null and discarded_at is null
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

create or replace function close_covered_candles(exchanges text[], symbols text[], stretches tstzrange[])
returns setof candles
language sql
set jit = off
as $$
    update candles set closed = true, received_at = now()
    from (
        -- One that somebody else writes at this moment has its turn the next time.
        select open.window_start, open.exchange, open.symbol, open.timeframe
        from (
            select exchange, symbol, range_agg(stretch) as looked_at, min(lower(stretch)) as first,
                   max(upper(stretch)) as last
            from unnest(exchanges, symbols, stretches) given (exchange, symbol, stretch)
            where not isempty(stretch)
            group by exchange, symbol
        ) given
        join candles open
            on open.exchange = given.exchange and open.symbol = given.symbol
           and open.window_start >= given.first - interval '1 day' and open.window_start < given.last
           and open.window_end > given.first and given.looked_at && tstzrange(open.window_start, open.window_end)
        where not open.closed and open.source = 'stream' and open.window_end <= now()
          and is_covered(open.exchange, open.symbol, open.window_start, open.window_end)
        for update of open skip locked
    ) ended
    where (candles.window_start, candles.exchange, candles.symbol, candles.timeframe)
          = (ended.window_start, ended.exchange, ended.symbol, ended.timeframe)
    returning candles.*
$$;
comment on function close_covered_candles(text[], text[], tstzrange[]) is
    'Closes the candles made of trades that overlap some stretches of time, as far as their windows have ended and all their trades are stored; returns them';

create or replace function close_known_candles(exchanges text[], symbols text[], stretches tstzrange[])
returns setof candles
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    -- Parts that may be cold are not looked at here: settle_candles does that.
    oldest constant timestamptz := now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles'));
    open record;
    series integer := 0;
begin
    return query select * from close_covered_candles(exchanges, symbols, stretches);
    for open in
        select ended.exchange, ended.symbol, array_agg(ended.window_start) as starts
        from (select distinct * from unnest(exchanges, symbols, stretches) given (exchange, symbol, stretch)
              where not isempty(stretch) and upper(stretch) > oldest) given
        join candles ended
            on ended.exchange = given.exchange and ended.symbol = given.symbol and ended.window_end > lower(given.stretch)
           and ended.window_end <= now() and ended.window_start < upper(given.stretch)
        where not ended.closed and ended.source = 'stream' and ended.timeframe <> '1m' and ended.window_start >= oldest
          and not exists (
              select from candles minute
              where minute.exchange = ended.exchange and minute.symbol = ended.symbol and minute.timeframe = '1m'
                and not minute.closed and minute.window_start >= ended.window_start
                and minute.window_start < ended.window_end and minute.window_end > ended.window_start
                and minute.window_end <= ended.window_end)
          and is_known(ended.exchange, ended.symbol, ended.timeframe, ended.window_start)
        group by ended.exchange, ended.symbol
        limit 10
    loop
        return query
        select made.* from make_wholes(open.exchange, open.symbol, '1m', open.starts) made where made.closed;
    end loop;
end
$$;
comment on function close_known_candles(text[], text[], tstzrange[]) is
    'As close_covered_candles; and of at most ten series also the longer candles that rest on fetched or quiet minutes beside trades. Where parts may be cold, settle_candles closes them';

create or replace function is_new_coverage(exchange text, pair text, stretch tstzrange) returns boolean
language sql stable
return exists (
    select from trade_coverage covered
    where covered.exchange = is_new_coverage.exchange and covered.pair = is_new_coverage.pair
      and covered.received_at = now() and covered.since < upper(stretch) and covered.until > lower(stretch));
comment on function is_new_coverage(text, text, tstzrange) is 'Whether this transaction has written what is known of some time';

create or replace function look_at_trades(exchange text, pair text, first timestamptz) returns setof tstzrange
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    recently constant interval := interval '1 hour';
    margin constant interval := interval '5 seconds';
    hole record;
    at timestamptz;
    looked_at tstzrange;
begin
    if not has_consecutive_ids(exchange) then
        return;
    end if;

    -- What was missing of late may have come: then it was received since the row behind the hole was written, or a moment
    -- before, by a transaction that had not ended yet. Whatever comes later than that refresh_candles looks at itself.
    for hole in
        select coalesce(before.until, least(greatest(first, now() - recently), behind.since)) as since,
               behind.since as until, behind.received_at
        from trade_coverage behind
        left join lateral (
            select until from trade_coverage before
            where before.exchange = look_at_trades.exchange and before.pair = look_at_trades.pair
              and before.since < behind.since
            order by before.since desc limit 1
        ) before on true
        where behind.exchange = look_at_trades.exchange and behind.pair = look_at_trades.pair
          and behind.since > now() - recently
    loop
        continue when not exists (
            select from trade_data
            where exchange = look_at_trades.exchange and pair = look_at_trades.pair
              and "timestamp" >= hole.since - margin and "timestamp" <= hole.until + margin
              and received_at > hole.received_at - interval '1 minute');
        looked_at := cover_trades(look_at_trades.exchange, look_at_trades.pair, hole.since, hole.until);
        if is_new_coverage(look_at_trades.exchange, look_at_trades.pair, looked_at) then
            return next looked_at;
        end if;
        update trade_coverage set received_at = now()
        where exchange = look_at_trades.exchange and pair = look_at_trades.pair and since = hole.until;
    end loop;

    -- Nobody has looked at the newest trades yet. Two pieces: the first may be a long silence with a hole in it.
    at := coalesce(
        (select until from trade_coverage
         where exchange = look_at_trades.exchange and pair = look_at_trades.pair
         order by since desc limit 1),
        greatest(first, now() - recently));
    for piece in 1..2 loop
        exit when at >= now();
        looked_at := cover_trades(look_at_trades.exchange, look_at_trades.pair, at, least(at + recently, now()));
        if is_new_coverage(look_at_trades.exchange, look_at_trades.pair, looked_at) then
            return next looked_at;
        end if;
        at := greatest(least(at + recently, now()), upper(looked_at));
    end loop;
end
$$;
comment on function look_at_trades(text, text, timestamptz) is
    'Brings trade_coverage of a pair up to date with its newest trades, at most two hours of them, and with the holes of the last hour near which something has arrived; returns the times of which it wrote something down. `first`: where to begin if nothing is known. The caller holds the lock of the series';

create or replace function close_candles() returns setof candles
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    waiting record;
    exchanges text[];
    symbols text[];
    firsts timestamptz[];
    seen_exchanges text[];
    seen_symbols text[];
    seen tstzrange[];
begin
    select array_agg(exchange), array_agg(symbol), array_agg(first) into exchanges, symbols, firsts
    from (
        select exchange, symbol, min(window_start) as first from candles
        where not closed and source = 'stream' and window_end <= now() and window_end > now() - interval '1 hour'
          and window_start > now() - interval '25 hours'
        group by exchange, symbol
    ) open;
    if exchanges is null then
        return;
    end if;
    perform lock_series(exchanges, symbols);
    -- Where more is known now, whatever its age; and a little more of it: our clock may be behind the exchange's.
    select array_agg(exchange), array_agg(symbol), array_agg(tstzrange(lower(looked_at) - interval '1 minute', upper(looked_at)))
    into seen_exchanges, seen_symbols, seen
    from unnest(exchanges, symbols, firsts) open (exchange, symbol, first)
    cross join lateral look_at_trades(exchange, symbol, first) looked_at;
    if seen is not null then
        return query select * from close_known_candles(seen_exchanges, seen_symbols, seen);
    end if;
    return query
    select closed.*
    from close_covered_candles(exchanges, symbols, array(
        select tstzrange(first, now()) from unnest(firsts) with ordinality given (first, place) order by place)) closed;
end
$$;
comment on function close_candles() is
    'Closes candles whose windows have ended and that are known whole, and returns them: of pairs with open candles of the last hour, those of that hour, and all of which more is known now. What waits for longer, or for more than the database sees by itself, settle_candles closes';
