-- Candles as a pure function of the trades, wherever those come from: live, late, healed or imported.
--
--   trade_data --touched minutes--> 1m -> 5m -> 15m -> 1h -> 1d, only the buckets touched
--
-- Two transactions on one pair take turns: the lock comes first and each statement after it has a snapshot of its own
-- (READ COMMITTED), so the second sees all that the first committed. The time bounds beside the joins let a hypertable
-- leave out every other chunk; the generic plans keep planning out of the millisecond budget.

create or replace function timeframe_length(timeframe text) returns interval
language sql immutable strict parallel safe
return case timeframe
    when '1m' then interval '1 minute' when '5m' then interval '5 minutes' when '15m' then interval '15 minutes'
    when '1h' then interval '1 hour' when '1d' then interval '24 hours' end;

create or replace function refresh_candles(exchanges text[], pairs text[], minutes timestamptz[])
returns setof candles
language plpgsql
set jit = off
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
as $$
declare
    from_ts timestamptz;
    to_ts timestamptz;
    may_be_cold boolean := false;
    step record;
begin
    if cardinality(exchanges) is distinct from cardinality(pairs)
       or cardinality(pairs) is distinct from cardinality(minutes) then
        raise exception 'exchanges, pairs and minutes must be of one length';
    end if;
    select min(date_trunc('minute', m)), max(date_trunc('minute', m)) + interval '1 minute'
    into from_ts, to_ts
    from unnest(minutes) m;
    -- The longer candles are made of the whole day. No hot age is below a day: the live stream does not look it up.
    if date_bin(interval '24 hours', from_ts, 'epoch') < now() - interval '1 day' then
        may_be_cold := date_bin(interval '24 hours', from_ts, 'epoch')
                       < now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles'));
    end if;
    if may_be_cold then
        perform lock_tiering(shared => true);
    end if;
    perform lock_series(exchanges, pairs);
    if may_be_cold then
        perform recall_candles(exchanges, pairs, minutes);
    end if;

    -- Of the newest minute of each pair the sums up to a second before the batch's earliest trade are kept in
    -- candle_checkpoint. They hold as long as nothing arrives below `upto`; if it does, the minute is read afresh.
    return query
    with touched as materialized (
        select given.exchange, given.pair, date_trunc('minute', given.instant) as minute,
               min(given.instant) as earliest,
               date_trunc('minute', given.instant)
                   = max(date_trunc('minute', given.instant)) over (partition by given.exchange, given.pair) as newest
        from unnest(exchanges, pairs, minutes) given (exchange, pair, instant)
        group by given.exchange, given.pair, date_trunc('minute', given.instant)
    ), ranges as materialized (
        select touched.*, known.exchange is not null as has_checkpoint, known.minute = touched.minute
                   and known.upto <= touched.earliest as usable,
               known.high as known_high, known.low as known_low, known.volume as known_volume,
               known.trade_count as known_count,
               case when known.minute = touched.minute and known.upto <= touched.earliest
                   then known.upto else touched.minute end as start
        from touched
        left join candle_checkpoint known
            on touched.newest and known.exchange = touched.exchange and known.pair = touched.pair
    ), marked as materialized (
        select *, case when newest then greatest(start, earliest - interval '1 second') else start end as mark
        from ranges
    ), sums as materialized (
        select marked.exchange, marked.pair, marked.minute, marked.newest, marked.has_checkpoint, marked.mark,
               greatest(case when usable then known_high end, before.high) as mark_high,
               least(case when usable then known_low end, before.low) as mark_low,
               coalesce(case when usable then known_volume end, 0) + coalesce(before.volume, 0) as mark_volume,
               coalesce(case when usable then known_count end, 0) + before.trade_count as mark_count,
               after.high, after.low, after.volume, after.trade_count
        from marked
        cross join lateral (
            select max(price) as high, min(price) as low, sum(volume) as volume, count(*) as trade_count
            from trade_data
            where marked.mark > marked.start
              and exchange = marked.exchange and pair = marked.pair
              and "timestamp" >= marked.start and "timestamp" < marked.mark
              and "timestamp" >= from_ts and "timestamp" < to_ts
        ) before
        cross join lateral (
            select max(price) as high, min(price) as low, sum(volume) as volume, count(*) as trade_count
            from trade_data
            where exchange = marked.exchange and pair = marked.pair
              and "timestamp" >= marked.mark and "timestamp" < marked.minute + interval '1 minute'
              and "timestamp" >= from_ts and "timestamp" < to_ts
        ) after
    ), checkpoints as (
        insert into candle_checkpoint as stored (exchange, pair, minute, upto, high, low, volume, trade_count)
        select sums.exchange, sums.pair, sums.minute, sums.mark, sums.mark_high, sums.mark_low, sums.mark_volume,
               sums.mark_count
        from sums
        where sums.newest and (sums.has_checkpoint or sums.mark_count + sums.trade_count > 500)
        on conflict (exchange, pair) do update
            set (minute, upto, high, low, volume, trade_count)
                = (excluded.minute, excluded.upto, excluded.high, excluded.low, excluded.volume, excluded.trade_count)
            where excluded.minute >= stored.minute
    ), changed as (
        insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
                                       volume, trade_count, closed, source, received_at)
        select sums.minute, sums.minute + interval '1 minute', sums.exchange, sums.pair, '1m',
               opening.price, greatest(sums.mark_high, sums.high), least(sums.mark_low, sums.low), closing.price,
               sums.mark_volume + coalesce(sums.volume, 0), sums.mark_count + sums.trade_count,
               sums.minute + interval '1 minute' <= now(), 'stream', now()
        from sums
        cross join lateral (
            select price from trade_data
            where exchange = sums.exchange and pair = sums.pair
              and "timestamp" >= sums.minute and "timestamp" < sums.minute + interval '1 minute'
              and "timestamp" >= from_ts and "timestamp" < to_ts
            order by "timestamp", trade_id limit 1
        ) opening
        cross join lateral (
            select price from trade_data
            where exchange = sums.exchange and pair = sums.pair
              and "timestamp" >= sums.minute and "timestamp" < sums.minute + interval '1 minute'
              and "timestamp" >= from_ts and "timestamp" < to_ts
            order by "timestamp" desc, trade_id desc limit 1
        ) closing
        on conflict (window_start, exchange, symbol, timeframe) do update
            set (open, high, low, close, volume, trade_count, closed, received_at)
                = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
                   excluded.closed, excluded.received_at)
            -- Trades leave the table after a month; a latecomer must not replace the candle by itself alone.
            where stored.source = 'stream' and excluded.trade_count >= stored.trade_count
              and (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count,
                   stored.closed)
                  is distinct from
                  (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
                   excluded.closed)
        returning stored.*
    )
    select * from changed;

    for step in
        select * from (values ('1m', '5m'), ('5m', '15m'), ('15m', '1h'), ('1h', '1d')) steps (part, whole)
    loop
        return query select * from refresh_wholes(exchanges, pairs, minutes, step.part, step.whole);
    end loop;
end
$$;
comment on function refresh_candles(text[], text[], timestamptz[]) is
    'Recomputes the candles of every timeframe that the minutes touch, and returns the rows it changed. For each minute give the earliest instant of what is new in it: the minute itself is right too, but a busy minute is then read whole';

create or replace function refresh_wholes(exchanges text[], pairs text[], instants timestamptz[], part text, whole text)
returns setof candles
language plpgsql
set jit = off
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
as $$
declare
    length constant interval := timeframe_length(whole);
    from_ts timestamptz;
    to_ts timestamptz;
begin
    select min(date_bin(length, i, 'epoch')), max(date_bin(length, i, 'epoch')) + length
    into from_ts, to_ts
    from unnest(instants) i;

    return query
    insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
                                   volume, trade_count, closed, source, received_at)
    select touched.bucket, touched.bucket + length, touched.exchange, touched.pair, whole,
           parts.opens[1], parts.high, parts.low, parts.closes[parts.candles], parts.volume, parts.trade_count,
           touched.bucket + length <= now(), 'stream', now()
    from (
        select distinct exchange, pair, date_bin(length, instant, 'epoch') as bucket
        from unnest(exchanges, pairs, instants) given (exchange, pair, instant)
    ) touched
    cross join lateral (
        select array_agg(ordered.open) as opens, array_agg(ordered.close) as closes, max(ordered.high) as high,
               min(ordered.low) as low, sum(ordered.volume) as volume, sum(ordered.trade_count)::bigint as trade_count,
               count(*) as candles
        from (
            select candles.open, candles.high, candles.low, candles.close, candles.volume, candles.trade_count
            from candles
            where exchange = touched.exchange and symbol = touched.pair and timeframe = part
              and window_start >= touched.bucket and window_start < touched.bucket + length
              and window_start >= from_ts and window_start < to_ts
            order by window_start
        ) ordered
    ) parts
    where parts.candles > 0
    on conflict (window_start, exchange, symbol, timeframe) do update
        set (open, high, low, close, volume, trade_count, closed, received_at)
            = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               excluded.closed, excluded.received_at)
        where stored.source = 'stream'
          and (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count, stored.closed)
              is distinct from
              (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               excluded.closed)
    returning stored.*;
end
$$;
comment on function refresh_wholes(text[], text[], timestamptz[], text, text) is
    'Recomputes the candles of one timeframe from the next shorter one; only for refresh_candles, which holds the lock';

create or replace function touched_candles(exchanges text[], pairs text[], minutes timestamptz[])
returns setof candles
language sql stable
set jit = off
set plan_cache_mode = force_generic_plan
as $$
    select candles.*
    from (
        select distinct exchange, pair, timeframe, date_bin(timeframe_length(timeframe), instant, 'epoch') as bucket
        from unnest(exchanges, pairs, minutes) given (exchange, pair, instant),
             unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe
    ) touched
    join candles on candles.exchange = touched.exchange and candles.symbol = touched.pair
                and candles.timeframe = touched.timeframe and candles.window_start = touched.bucket
$$;
comment on function touched_candles(text[], text[], timestamptz[]) is
    'The stored candles of every timeframe that the minutes touch, changed or not';

create or replace function close_candles() returns setof candles
language sql
set jit = off
as $$
    update candles set closed = true, received_at = now()
    from (
        select window_start, exchange, symbol, timeframe from candles
        where not closed and source = 'stream' and window_end <= now()
        for update skip locked
    ) ended
    where (candles.window_start, candles.exchange, candles.symbol, candles.timeframe)
          = (ended.window_start, ended.exchange, ended.symbol, ended.timeframe)
    returning candles.*
$$;
comment on function close_candles() is
    'Marks stream candles closed whose window has ended without a further trade, and returns them; one that somebody else writes at this moment has its turn the next time';
