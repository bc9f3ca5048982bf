-- Candles are closed as soon as every trade of their window is known.
--
--   new trades --look_at_trades--> trade_coverage --> close_covered_candles, close_known_candles --> closed candles

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
