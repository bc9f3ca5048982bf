-- Candles as a pure function of the trades, wherever those come from: live, late, healed or imported.
--
--   trade_data --touched minutes--> 1m -> 5m -> 15m -> 1h -> 1d, only the buckets touched
--
-- A part without trades (`traded`) only carries a price on: it counts for open, high, low and close of a longer candle
-- where no part has any. A window is closed when it has ended and all of it is known (candle_coverage.sql).
--
-- Two transactions on one pair take turns: the lock comes first and each statement after it has a snapshot of its own
-- (READ COMMITTED), so the second sees all that the first committed. The time bounds beside the joins let a hypertable
-- leave out every other chunk; the generic plans keep planning out of the millisecond budget.

create or replace function timeframe_length(timeframe text) returns interval
language sql immutable strict parallel safe
return case timeframe
    when '1m' then interval '1 minute' when '5m' then interval '5 minutes' when '15m' then interval '15 minutes'
    when '1h' then interval '1 hour' when '1d' then interval '24 hours' end;

create or replace function whole_minutes(timeframe text) returns bigint
language sql immutable strict parallel safe
return extract(epoch from timeframe_length(timeframe))::bigint / 60;
comment on function whole_minutes(text) is 'How many minutes a window of a timeframe has';

create or replace function traded(volume numeric, trade_count bigint) returns boolean
language sql immutable parallel safe
return volume > 0 or trade_count > 0;
comment on function traded(numeric, bigint) is
    'Whether a candle has trades. Interfaces that count no trades give 0 beside a volume';

create or replace function summed_trades(trade_count numeric, uncounted boolean) returns bigint
language sql immutable parallel safe
return case when uncounted then 0 else trade_count::bigint end;
comment on function summed_trades(numeric, boolean) is
    'The number of trades of a candle made of shorter ones: 0 as soon as one of them has trades that nobody counted';

create or replace function is_no_less(volume numeric, trade_count bigint, stored_volume numeric, stored_count bigint)
returns boolean
language sql immutable parallel safe
return volume >= stored_volume and trade_count >= stored_count;
comment on function is_no_less(numeric, bigint, numeric, bigint) is
    'Whether a candle made anew may have all trades of the stored one. A count alone does not say so: it may be 0 beside a volume';

create or replace function parts_have_left(exchange text, symbol text, timeframe text, since timestamptz, until timestamptz)
returns boolean
language sql stable
return exists (
    select from archive_files files
    where files.subject = 'candles' and files.exchange = parts_have_left.exchange
      and files.symbol = parts_have_left.symbol and files.timeframe = parts_have_left.timeframe
      and files.first_at < parts_have_left.until and files.last_at >= parts_have_left.since);
comment on function parts_have_left(text, text, text, timestamptz, timestamptz) is
    'Whether candles of a range have moved to the archive: what is stored of them may be a few that came later';

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
    -- Of what is younger close_candles looks at the ids: every few seconds, and not with every batch.
    settled constant timestamptz := now() - interval '10 minutes';
    from_ts timestamptz;
    to_ts timestamptz;
    may_be_cold boolean := false;
    seen_exchanges text[] := '{}';
    seen_pairs text[] := '{}';
    seen tstzrange[] := '{}';
    old record;
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

    if from_ts < settled then
        for old in
            select exchange, pair, min(date_trunc('minute', instant)) as first,
                   max(date_trunc('minute', instant)) + interval '1 minute' as last
            from unnest(exchanges, pairs, minutes) given (exchange, pair, instant)
            group by exchange, pair, date_bin(interval '1 hour', instant, 'epoch')
            having min(instant) < settled
        loop
            seen_exchanges := seen_exchanges || old.exchange;
            seen_pairs := seen_pairs || old.pair;
            seen := seen || cover_trades(old.exchange, old.pair, old.first, old.last);
        end loop;
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
               sums.minute + interval '1 minute' <= now()
                   and is_covered(sums.exchange, sums.pair, sums.minute, sums.minute + interval '1 minute'),
               'stream', now()
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
                   stored.closed or excluded.closed, excluded.received_at)
            -- Trades leave the table after a month; a latecomer must not replace the candle by itself alone.
            where stored.source = 'stream'
              and is_no_less(excluded.volume, excluded.trade_count,
                             case when stored.trade_count = 0 then stored.volume else 0 end, stored.trade_count)
              and (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count,
                   stored.closed)
                  is distinct from
                  (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
                   stored.closed or excluded.closed)
        returning stored.*
    )
    select * from changed;
    perform judge_again(exchanges, pairs, minutes);

    for step in
        select * from (values ('1m', '5m'), ('5m', '15m'), ('15m', '1h'), ('1h', '1d')) steps (part, whole)
    loop
        return query select * from refresh_wholes(exchanges, pairs, minutes, step.part, step.whole);
    end loop;
    -- What is known now may complete windows beside those that were touched.
    if cardinality(seen) > 0 then
        return query select * from close_known_candles(seen_exchanges, seen_pairs, seen);
    end if;
end
$$;
comment on function refresh_candles(text[], text[], timestamptz[]) is
    'Recomputes the candles of every timeframe that the minutes touch, and returns the rows it changed. For each minute give the earliest instant of what is new in it: the minute itself is right too, but a busy minute is then read whole';

drop function if exists refresh_wholes(text[], text[], timestamptz[], text, text);
create or replace function refresh_wholes(exchanges text[], pairs text[], instants timestamptz[], part text, whole text,
                                          known timestamptz[] default null)
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
           coalesce(parts.opens[1], parts.quiet_open), coalesce(parts.high, parts.quiet_high),
           coalesce(parts.low, parts.quiet_low), coalesce(parts.closes[parts.traded_parts], parts.quiet_closes[parts.candles]),
           parts.volume, parts.trade_count,
           touched.bucket + length <= now()
               and case when known is null then is_covered(touched.exchange, touched.pair, touched.bucket, touched.bucket + length)
                        else touched.bucket in (select unnest(known)) end
               and not parts_have_left(touched.exchange, touched.pair, part, touched.bucket, touched.bucket + length),
           'stream', now()
    from (
        select distinct exchange, pair, date_bin(length, instant, 'epoch') as bucket
        from unnest(exchanges, pairs, instants) given (exchange, pair, instant)
    ) touched
    cross join lateral (
        select array_agg(ordered.open) filter (where has_trades) as opens,
               array_agg(ordered.close) filter (where has_trades) as closes,
               max(ordered.high) filter (where has_trades) as high,
               min(ordered.low) filter (where has_trades) as low, count(*) filter (where has_trades) as traded_parts,
               (array_agg(ordered.open))[1] as quiet_open, max(ordered.high) as quiet_high,
               min(ordered.low) as quiet_low, array_agg(ordered.close) as quiet_closes, count(*) as candles,
               sum(ordered.volume) as volume, summed_trades(sum(ordered.trade_count), bool_or(uncounted)) as trade_count
        from (
            select candles.open, candles.high, candles.low, candles.close, candles.volume, candles.trade_count,
                   traded(candles.volume, candles.trade_count) as has_trades,
                   candles.volume > 0 and candles.trade_count = 0 as uncounted
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
               stored.closed or excluded.closed, excluded.received_at)
        where stored.source = 'stream'
          -- Shorter candles leave the database before the longer ones: some of them must not replace what all came to.
          and (not stored.closed or excluded.closed
               or is_no_less(excluded.volume, excluded.trade_count, stored.volume, stored.trade_count))
          and (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count, stored.closed)
              is distinct from
              (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               stored.closed or excluded.closed)
    returning stored.*;
end
$$;
comment on function refresh_wholes(text[], text[], timestamptz[], text, text, timestamptz[]) is
    'Recomputes the candles of one timeframe from the next shorter one; only for those who hold the lock. `known`: the windows that are known whole, where the caller has looked; else those are of which all trades are stored';

create or replace function make_wholes(exchange text, symbol text, timeframe text, starts timestamptz[])
returns setof candles
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    length interval;
    touched timestamptz[];
    known timestamptz[];
    sound timestamptz[];
    step record;
begin
    for step in
        select part, whole
        from (values ('1m', '5m'), ('5m', '15m'), ('15m', '1h'), ('1h', '1d')) steps (part, whole)
        where timeframe_length(part) >= timeframe_length(make_wholes.timeframe)
        order by timeframe_length(part)
    loop
        length := timeframe_length(step.whole);
        touched := array(select distinct date_bin(length, start, 'epoch') from unnest(starts) start);
        known := array(
            select window_start
            from known_windows(make_wholes.exchange, make_wholes.symbol, step.whole,
                               (select min(bucket) from unnest(touched) bucket),
                               (select max(bucket) + length from unnest(touched) bucket)) windows
            where known_minutes = whole_minutes(step.whole));
        -- Of fetched candles a few alone must not pass for the whole hour: that would hide that it is missing.
        sound := array(
            select bucket from unnest(touched) bucket
            where bucket in (select unnest(known)) or exists (
                select from candles
                where exchange = make_wholes.exchange and symbol = make_wholes.symbol and timeframe = step.whole
                  and window_start = bucket and window_start >= (select min(bucket) from unnest(touched) bucket)
                  and window_start <= (select max(bucket) from unnest(touched) bucket))
        );
        return query select * from refresh_wholes(
            array_fill(make_wholes.exchange, array[cardinality(sound)]),
            array_fill(make_wholes.symbol, array[cardinality(sound)]), sound, step.part, step.whole, known);
    end loop;
end
$$;
comment on function make_wholes(text, text, text, timestamptz[]) is
    'Makes the longer candles anew that rest on candles of a timeframe and that are known whole or there already; returns the rows it changed. The caller holds the lock of the series';

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

create or replace view candles_hourly_summary as
select time_bucket('1 hour', window_start) as hour, symbol,
       coalesce(first(open, window_start) filter (where traded(volume, trade_count)), first(open, window_start)) as open,
       coalesce(max(high) filter (where traded(volume, trade_count)), max(high)) as high,
       coalesce(min(low) filter (where traded(volume, trade_count)), min(low)) as low,
       coalesce(last(close, window_start) filter (where traded(volume, trade_count)), last(close, window_start)) as close,
       sum(volume) as volume, exchange, count(*) as minutes
from all_candles
where timeframe = '1m'
group by 1, 2, exchange;
