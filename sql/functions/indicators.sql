-- Indicators as a pure function of the closed candles of a series, in the order of their windows, gaps or not.
--
--   candles --written--> indicator_changes --> advance_indicators (newest windows, all series of a timeframe at once)
--                                          \-> rebuild_indicators (the rest, from the first change on)
--
-- RSI 14 (Wilder), MACD 12/26/9, Bollinger 20/2 and momentum 10 as TA-Lib computes them: the first value of an average
-- is the plain mean of its first period, MACD's two averages begin on the same candle. What comes before is null. Both
-- ways go through the same steps in the same order, so that they agree to the last bit.
--
-- A state is what the next candle needs: the running values 1 to 8 in the order of indicator_run's columns, then the
-- closes of the last 20 candles, oldest first. indicator_states has that of the newest candle of each series; of the
-- others every thousandth window since the epoch keeps its own, and a correction starts from the last one before it.
-- There the sums over 20 candles are also made anew from the closes: running sums never forget what was rounded off,
-- and the rows after a correction would differ in their last bits for ever.

create or replace function note_candles() returns trigger
language plpgsql
set jit = off
as $$
begin
    insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start)
    select exchange, symbol, timeframe, min(window_start), max(window_start)
    from written
    where closed
    group by exchange, symbol, timeframe;
    return null;
end
$$;
comment on function note_candles() is 'Notes which closed candles a statement wrote: their indicators are due';

create or replace trigger candles_added after insert on candles
    referencing new table as written for each statement execute function note_candles();
create or replace trigger candles_corrected after update on candles
    referencing new table as written for each statement execute function note_candles();

create or replace function rebuild_indicators(
    of_exchange text, of_symbol text, of_timeframe text, since timestamptz default null,
    changed_until timestamptz default 'infinity')
returns bigint
language plpgsql
set jit = off
set enable_nestloop = off
as $$
declare
    at_once constant integer := 20000;
    kept_every constant interval := 1000 * timeframe_length(of_timeframe);
    state_start timestamptz;
    carried double precision[];
    starts timestamptz[];
    prices double precision[];
    earlier integer;
    candles integer;
    first integer := 1;
    last integer;
    renewals integer[];
    after_start timestamptz;
    upto_start timestamptz;
    step record;
    written bigint := 0;
begin
    perform lock_indicators();
    perform lock_tiering(shared => true);

    select known.window_start, known.state into state_start, carried
    from (
        select window_start, state from indicators
        where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and state is not null
        union all
        select window_start, state from cold_storage.indicators
        where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and state is not null
    ) known
    where known.window_start < since
    order by known.window_start desc
    limit 1;

    select array_agg(candle.window_start), array_agg(candle.close) into starts, prices
    from (
        select stored.window_start, stored.close::double precision
        from (
            select window_start, close from candles
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and closed
            union all
            select window_start, close from cold_storage.candles
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and closed
        ) stored
        where stored.window_start > coalesce(state_start, '-infinity')
        order by stored.window_start
    ) candle;
    candles := coalesce(cardinality(starts), 0);
    if candles = 0 and carried is null then
        return 0;
    end if;
    prices := carried[9:28] || prices;
    earlier := coalesce(cardinality(carried) - 8, 0);

    loop
        last := least(first - 1 + case when carried is null then 34 else at_once end, candles);
        -- Rows older than the oldest candle were computed while their candles were still stored: they stay.
        after_start := case when first > 1 then starts[first - 1]
                            else coalesce(state_start, starts[1] - interval '1 microsecond') end;
        upto_start := case when last < candles then starts[last] else 'infinity' end;
        renewals := array(
            select number::integer
            from unnest(starts[first:last]) with ordinality candle (start, number)
            where start = date_bin(kept_every, start, 'epoch')
            order by number
        );

        with run as materialized (
            select values.*, starts[first - 1 + number] as window_start, (first - 1 + number + earlier)::integer as at
            from (
                select * from indicator_seed(prices[first:last]) with ordinality
                where carried is null
                union all
                select * from indicator_run(prices[first + earlier:last + earlier], carried, renewals) with ordinality
                where carried is not null
            ) values (average_gain, average_loss, fast, slow, signal, total, squares, peak, number)
        ), computed as (
            select run.window_start, relative_strength(run.average_gain, run.average_loss) as rsi_14,
                   case when run.signal is not null then run.fast - run.slow end as macd, run.signal as macd_signal,
                   run.fast - run.slow - run.signal as macd_histogram,
                   run.total / 20 + band_width(run.squares) as bollinger_upper, run.total / 20 as bollinger_middle,
                   run.total / 20 - band_width(run.squares) as bollinger_lower,
                   prices[run.at] - prices[run.at - 10] as momentum_10,
                   case when run.signal is not null
                             and run.window_start = date_bin(kept_every, run.window_start, 'epoch')
                       then array[run.average_gain, run.average_loss, run.fast, run.slow, run.signal, run.total,
                                  run.squares, run.peak] || prices[run.at - 19:run.at] end as state
            from run
        ), stored as materialized (
            select window_start, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle,
                   bollinger_lower, momentum_10, state, false as cold
            from indicators
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe
              and window_start > after_start and window_start <= upto_start
            union all
            select window_start, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle,
                   bollinger_lower, momentum_10, state, true
            from cold_storage.indicators
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe
              and window_start > after_start and window_start <= upto_start
        ), differing as materialized (
            select computed.*, stored.cold
            from computed left join stored using (window_start)
            where stored.window_start is null
               or (computed.rsi_14, computed.macd, computed.macd_signal, computed.macd_histogram,
                   computed.bollinger_upper, computed.bollinger_middle, computed.bollinger_lower,
                   computed.momentum_10, computed.state)
                  is distinct from
                  (stored.rsi_14, stored.macd, stored.macd_signal, stored.macd_histogram, stored.bollinger_upper,
                   stored.bollinger_middle, stored.bollinger_lower, stored.momentum_10, stored.state)
        ), orphaned as materialized (
            select window_start, cold from stored
            where not exists (select from unnest(starts[first:last]) start where start = stored.window_start)
        ), added as (
            insert into indicators (window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal,
                                    macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower, momentum_10,
                                    state)
            select window_start, of_exchange, of_symbol, of_timeframe, rsi_14, macd, macd_signal, macd_histogram,
                   bollinger_upper, bollinger_middle, bollinger_lower, momentum_10, state
            from differing
            where cold is null
        ), corrected as (
            update indicators hot
            set (rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower,
                 momentum_10, state, received_at)
                = (differing.rsi_14, differing.macd, differing.macd_signal, differing.macd_histogram,
                   differing.bollinger_upper, differing.bollinger_middle, differing.bollinger_lower,
                   differing.momentum_10, differing.state, now())
            from differing
            where not differing.cold and hot.window_start = differing.window_start and hot.exchange = of_exchange
              and hot.symbol = of_symbol and hot.timeframe = of_timeframe and hot.window_start > after_start
              and hot.window_start <= upto_start
        ), corrected_cold as (
            update cold_storage.indicators cold
            set (rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower,
                 momentum_10, state, received_at)
                = (differing.rsi_14, differing.macd, differing.macd_signal, differing.macd_histogram,
                   differing.bollinger_upper, differing.bollinger_middle, differing.bollinger_lower,
                   differing.momentum_10, differing.state, now())
            from differing
            where differing.cold and cold.window_start = differing.window_start and cold.exchange = of_exchange
              and cold.symbol = of_symbol and cold.timeframe = of_timeframe and cold.window_start > after_start
              and cold.window_start <= upto_start
        ), removed as (
            delete from indicators hot using orphaned
            where not orphaned.cold and hot.window_start = orphaned.window_start and hot.exchange = of_exchange
              and hot.symbol = of_symbol and hot.timeframe = of_timeframe and hot.window_start > after_start
              and hot.window_start <= upto_start
        ), removed_cold as (
            delete from cold_storage.indicators cold using orphaned
            where orphaned.cold and cold.window_start = orphaned.window_start and cold.exchange = of_exchange
              and cold.symbol = of_symbol and cold.timeframe = of_timeframe and cold.window_start > after_start
              and cold.window_start <= upto_start
        )
        select (select count(*) from differing) + (select count(*) from orphaned) as written,
               (select array[average_gain, average_loss, fast, slow, signal, total, squares, peak]
                       || prices[at - 19:at]
                from run where window_start = starts[last] and signal is not null) as state,
               exists (
                   select from stored
                   where state is not null and window_start > changed_until
                     and not exists (select from differing where differing.window_start = stored.window_start)
                     and not exists (select from orphaned where orphaned.window_start = stored.window_start)
               ) as settled
        into step;

        written := written + step.written;
        if step.settled then
            return written;
        end if;
        carried := coalesce(step.state, carried);
        exit when last = candles;
        first := last + 1;
    end loop;

    delete from indicator_states
    where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and carried is null;
    insert into indicator_states as stored (exchange, symbol, timeframe, window_start, state)
    select of_exchange, of_symbol, of_timeframe, coalesce(starts[candles], state_start), carried
    where carried is not null
    on conflict (exchange, symbol, timeframe) do update
        set (window_start, state) = (excluded.window_start, excluded.state)
        where (stored.window_start, stored.state) is distinct from (excluded.window_start, excluded.state);
    return written;
end
$$;
comment on function rebuild_indicators(text, text, text, timestamptz, timestamptz) is
    'Computes the indicators of a series anew from its closed candles, hot and cold, and writes the rows that differ; returns how many. With `since` only from the candle of that window on. With `changed_until` it stops where later rows are as they were: only if no candle after that window has changed';

create or replace function next_indicators(
    of_timeframe text, before timestamptz, moment timestamptz, renews boolean)
returns table (exchange text, symbol text, momentum_10 double precision, state double precision[])
language sql stable
as $$
    select due.exchange, due.symbol, price - before_it[19],
           array[average_gain, average_loss, fast, slow, signal_step(before_it[5], fast - slow),
                 case when renews then total_of(closes) else total end,
                 case when renews or squares < peak * 1e-3 then squares_of(closes) else squares end,
                 case when renews or squares < peak * 1e-3 then squares_of(closes) else greatest(squares, peak) end]
               || closes
    from (
        select candle.exchange, candle.symbol, candle.price, candle.before_it, before_it[8] as peak,
               wilder_step(before_it[1], rise(price - before_it[28])) as average_gain,
               wilder_step(before_it[2], rise(before_it[28] - price)) as average_loss,
               ema_step(before_it[3], price, 12) as fast, ema_step(before_it[4], price, 26) as slow,
               before_it[6] - before_it[9] + price as total,
               squares_step(before_it[7], before_it[6] - before_it[9] + price, price, before_it[9]) as squares,
               before_it[10:28] || price as closes
        from (
            select candles.exchange, candles.symbol, candles.close::double precision as price,
                   known.state as before_it
            from candles
            join indicator_states known
                on known.exchange = candles.exchange and known.symbol = candles.symbol
               and known.timeframe = of_timeframe and known.window_start = before
            where candles.window_start = moment and candles.timeframe = of_timeframe and candles.closed
            offset 0
        ) candle
        offset 0
    ) due
$$;
comment on function next_indicators(text, timestamptz, timestamptz, boolean) is
    'The state after the candles that start at a moment, of every series of a timeframe that has the state of the candle before; whether the sums are made anew there depends on the moment';

create or replace function advance_indicators(of_timeframe text, moment timestamptz)
returns table (exchange text, symbol text)
language plpgsql
set jit = off
set plan_cache_mode = force_generic_plan
set enable_nestloop = off
as $$
declare
    before constant timestamptz := moment - timeframe_length(of_timeframe);
    renews constant boolean := moment = date_bin(1000 * timeframe_length(of_timeframe), moment, 'epoch');
begin
    perform lock_indicators();
    return query
    with due as materialized (
        select due.exchange, due.symbol, due.momentum_10, due.state
        from next_indicators(of_timeframe, before, moment, renews) due
        where not exists (
            select from indicators written
            where written.window_start = moment and written.exchange = due.exchange and written.symbol = due.symbol
              and written.timeframe = of_timeframe
        )
    ), kept as (
        update indicator_states
        set (window_start, state) = (moment, due.state)
        from due
        where indicator_states.exchange = due.exchange and indicator_states.symbol = due.symbol
          and indicator_states.timeframe = of_timeframe
    )
    insert into indicators as stored (window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal,
                                      macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower, momentum_10,
                                      state)
    select moment, due.exchange, due.symbol, of_timeframe, relative_strength(state[1], state[2]), state[3] - state[4],
           state[5], state[3] - state[4] - state[5], state[6] / 20 + band_width(state[7]), state[6] / 20,
           state[6] / 20 - band_width(state[7]), momentum_10, case when renews then state end
    from due
    returning stored.exchange, stored.symbol;
end
$$;
comment on function advance_indicators(text, timestamptz) is
    'Computes and writes the indicators of the candles that start at a moment, for every series of a timeframe that has the state of the candle before; returns those series';

create or replace function refresh_newest_indicators() returns bigint
language plpgsql
set jit = off
as $$
declare
    computed bigint;
begin
    perform lock_indicators();
    -- Noted candles are taken out before they are read: whatever is written after that is noted once more.
    with newest as (
        select timeframe, timeframe_length(timeframe) as length,
               date_bin(timeframe_length(timeframe), clock_timestamp(), 'epoch') - timeframe_length(timeframe) as start
        from unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe
    ), taken as (
        delete from indicator_changes using newest
        where indicator_changes.timeframe = newest.timeframe
          and indicator_changes.first_start >= newest.start - 2 * newest.length
          and indicator_changes.last_start <= newest.start
        returning indicator_changes.*
    ), moments as (
        select taken.timeframe,
               generate_series(min(taken.first_start), newest.start, newest.length) as moment
        from taken join newest using (timeframe)
        group by taken.timeframe, newest.start, newest.length
        order by 2
    ), advanced as materialized (
        select moments.timeframe, moments.moment, done.exchange, done.symbol
        from moments cross join lateral advance_indicators(moments.timeframe, moments.moment) done
    ), left_over as (
        insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start, noted_at)
        select exchange, symbol, timeframe, first_start, last_start, noted_at
        from taken
        where not exists (
            select from advanced
            where advanced.exchange = taken.exchange and advanced.symbol = taken.symbol
              and advanced.timeframe = taken.timeframe and advanced.moment = taken.first_start
        )
    )
    select count(*) into computed from advanced;
    return computed;
end
$$;
comment on function refresh_newest_indicators() is
    'Computes the indicators of noted candles that are among the newest of their timeframe, all series at once; returns the number of candles. What cannot be done that way stays noted';

create or replace function refresh_next_indicators()
returns table (exchange text, symbol text, timeframe text, written bigint)
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    due record;
begin
    perform lock_indicators();
    select * into due from indicator_changes order by number limit 1;
    if not found then
        return;
    end if;
    with taken as (
        delete from indicator_changes
        where (exchange, symbol, timeframe) = (due.exchange, due.symbol, due.timeframe)
        returning first_start, last_start
    )
    select due.exchange as exchange, due.symbol as symbol, due.timeframe as timeframe,
           min(first_start) as first_start, max(last_start) as last_start
    into due
    from taken;
    return query
    select due.exchange, due.symbol, due.timeframe,
           rebuild_indicators(due.exchange, due.symbol, due.timeframe, due.first_start, due.last_start);
end
$$;
comment on function refresh_next_indicators() is
    'Brings the indicators of the series that was noted first up to date from its first change on; returns it and the number of rows written, or nothing where nothing is noted';
