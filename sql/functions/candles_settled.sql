-- Candles looked over once more, a day of a series at a time, hot and cold where they lie: longer ones made anew from
-- the shorter, closed where all of them is known, compared where an exchange gave the whole as well.

create or replace function settle_coverage(exchange text, pair text, since timestamptz, until timestamptz)
returns timestamptz
language plpgsql
set jit = off
as $$
declare
    upto constant timestamptz := least(until, since + interval '1 hour');
    looked_at tstzrange;
begin
    perform lock_candles();
    perform lock_series(array[exchange], array[pair]);
    looked_at := cover_trades(exchange, pair, since, upto);
    -- Where nobody traded for long there is nothing to look at.
    return least(until, greatest(upto, upper(looked_at)));
end
$$;
comment on function settle_coverage(text, text, timestamptz, timestamptz) is
    'Brings trade_coverage in line with an hour of trades, from `since` on; returns where to go on. Call it until that is `until`, each time in a transaction of its own';

create or replace function settle_candles(exchange text, symbol text, since timestamptz, until timestamptz,
                                          reopen boolean default false)
returns table (timeframe text, corrected bigint, closed bigint, reopened bigint, made bigint, differing bigint)
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    from_ts constant timestamptz := date_bin(interval '24 hours', since, 'epoch');
    to_ts constant timestamptz := date_bin(interval '24 hours', until + interval '24 hours' - interval '1 microsecond', 'epoch');
    oldest timestamptz;
    length interval;
    step record;
begin
    perform lock_candles();
    perform lock_series(array[settle_candles.exchange], array[settle_candles.symbol]);
    if reopen and exists (select from archive_files where subject = 'trade_data') then
        -- Whether the first minute that is left was whole nobody can say any more.
        oldest := (select date_trunc('minute', "timestamp") from trade_data
                   where trade_data.exchange = settle_candles.exchange and pair = settle_candles.symbol
                   order by "timestamp" limit 1);
    end if;

    for step in
        select * from (values (null, '1m'), ('1m', '5m'), ('5m', '15m'), ('15m', '1h'), ('1h', '1d')) steps (part, whole)
    loop
        length := timeframe_length(step.whole);
        return query
        with parts as materialized (
            select distinct on (window_start) date_bin(length, window_start, 'epoch') as bucket, window_start, open, high,
                   low, close, volume, trade_count, traded(volume, trade_count) as has_trades
            from all_candles
            where exchange = settle_candles.exchange and symbol = settle_candles.symbol
              and timeframe = coalesce(step.part, step.whole) and window_start >= from_ts and window_start < to_ts
            order by window_start, source = 'rest' desc, tier desc
        ), computed as materialized (
            select bucket,
                   coalesce((array_agg(open order by window_start) filter (where has_trades))[1],
                            (array_agg(open order by window_start))[1]) as open,
                   coalesce(max(high) filter (where has_trades), max(high)) as high,
                   coalesce(min(low) filter (where has_trades), min(low)) as low,
                   coalesce((array_agg(close order by window_start desc) filter (where has_trades))[1],
                            (array_agg(close order by window_start desc))[1]) as close,
                   sum(volume) as volume,
                   summed_trades(sum(trade_count), bool_or(volume > 0 and trade_count = 0)) as trade_count
            from parts
            group by bucket
        ), judged as materialized (
            select computed.*, bucket + length <= now() and known_minutes is not distinct from whole_minutes(step.whole) as known
            from computed
            left join known_windows(settle_candles.exchange, settle_candles.symbol, step.whole, from_ts, to_ts) windows
                on windows.window_start = bucket
        ), compared as materialized (
            select judged.*, kept.tier, kept.source, kept.closed as was_closed,
                   (judged.open, judged.high, judged.low, judged.close, judged.volume, judged.trade_count)
                       is distinct from (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.trade_count) as differs,
                   (judged.open, judged.high, judged.low, judged.close, judged.volume)
                       is distinct from (kept.open, kept.high, kept.low, kept.close, kept.volume)
                       or judged.trade_count <> kept.trade_count and judged.trade_count > 0 and kept.trade_count > 0
                       as contradicts,
                   kept.open as kept_open, kept.high as kept_high, kept.low as kept_low, kept.close as kept_close,
                   kept.volume as kept_volume, kept.trade_count as kept_count,
                   case when kept.closed and not judged.known and reopen and judged.trade_count >= kept.trade_count
                            then step.part is null and not (
                                bucket > coalesce(oldest, '-infinity') and exists (
                                    select from trade_data
                                    where trade_data.exchange = settle_candles.exchange and pair = settle_candles.symbol
                                      and "timestamp" >= bucket and "timestamp" < bucket + length))
                        else kept.closed or judged.known end as closes
            from judged
            join all_candles kept
                on kept.exchange = settle_candles.exchange and kept.symbol = settle_candles.symbol
               and kept.timeframe = step.whole and kept.window_start = bucket
               and kept.window_start >= from_ts and kept.window_start < to_ts
        ), changes as materialized (
            -- Shorter candles leave the database before the longer ones: some of them must not replace all.
            select * from compared
            where source = 'stream' and (differs or closes <> was_closed)
              and (not was_closed or known or trade_count >= kept_count)
        ), hot as (
            update candles kept
            set (open, high, low, close, volume, trade_count, closed, received_at)
                = (changes.open, changes.high, changes.low, changes.close, changes.volume, changes.trade_count,
                   changes.closes, now())
            from changes
            where changes.tier = 'hot' and kept.window_start = bucket and kept.exchange = settle_candles.exchange
              and kept.symbol = settle_candles.symbol and kept.timeframe = step.whole and kept.source = 'stream'
              and kept.window_start >= from_ts and kept.window_start < to_ts
        ), cold as (
            update cold_storage.candles kept
            set (open, high, low, close, volume, trade_count, closed, received_at)
                = (changes.open, changes.high, changes.low, changes.close, changes.volume, changes.trade_count,
                   changes.closes, now())
            from changes
            where changes.tier = 'cold' and kept.window_start = bucket and kept.exchange = settle_candles.exchange
              and kept.symbol = settle_candles.symbol and kept.timeframe = step.whole and kept.source = 'stream'
              and kept.window_start >= from_ts and kept.window_start < to_ts
        ), fresh as (
            insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                                 trade_count, closed, source)
            select bucket, bucket + length, settle_candles.exchange, settle_candles.symbol, step.whole, open, high, low,
                   close, volume, trade_count, true, 'stream'
            from judged
            where known and step.part is not null and not exists (select from compared where compared.bucket = judged.bucket)
            returning window_start
        ), noted as (
            insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start)
            select settle_candles.exchange, settle_candles.symbol, step.whole, min(bucket), max(bucket)
            from changes
            where was_closed or closes
            having count(*) > 0
        ), differences as (
            insert into candle_differences as differing (
                window_start, exchange, symbol, timeframe, stream_open, stream_high, stream_low, stream_close,
                stream_volume, stream_trade_count, rest_open, rest_high, rest_low, rest_close, rest_volume,
                rest_trade_count)
            select bucket, settle_candles.exchange, settle_candles.symbol, step.whole, open, high, low, close, volume,
                   trade_count, kept_open, kept_high, kept_low, kept_close, kept_volume, kept_count
            from compared
            where source = 'rest' and step.part is not null and known and contradicts
            on conflict (window_start, exchange, symbol, timeframe) do update
                set (stream_open, stream_high, stream_low, stream_close, stream_volume, stream_trade_count, rest_open,
                     rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
                    = (excluded.stream_open, excluded.stream_high, excluded.stream_low, excluded.stream_close,
                       excluded.stream_volume, excluded.stream_trade_count, excluded.rest_open, excluded.rest_high,
                       excluded.rest_low, excluded.rest_close, excluded.rest_volume, excluded.rest_trade_count, null,
                       null)
                where (differing.stream_open, differing.stream_high, differing.stream_low, differing.stream_close,
                       differing.stream_volume, differing.stream_trade_count, differing.rest_open, differing.rest_high,
                       differing.rest_low, differing.rest_close, differing.rest_volume, differing.rest_trade_count)
                      is distinct from
                      (excluded.stream_open, excluded.stream_high, excluded.stream_low, excluded.stream_close,
                       excluded.stream_volume, excluded.stream_trade_count, excluded.rest_open, excluded.rest_high,
                       excluded.rest_low, excluded.rest_close, excluded.rest_volume, excluded.rest_trade_count)
            returning window_start
        ), agreeing as (
            -- Whichever of the two has changed: they are the same now.
            update candle_differences differing
            set (rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
                = (kept_open, kept_high, kept_low, kept_close, kept_volume, kept_count, null, null)
            from compared
            where compared.source = 'rest' and step.part is not null and known and not contradicts
              and differing.window_start = bucket and differing.exchange = settle_candles.exchange
              and differing.symbol = settle_candles.symbol and differing.timeframe = step.whole
              and differing.cause <> 'late_trades'
        )
        select step.whole, count(*) filter (where differs), count(*) filter (where closes and not was_closed),
               count(*) filter (where was_closed and not closes), (select count(*) from fresh),
               (select count(*) from differences)
        from changes;
    end loop;
end
$$;
comment on function settle_candles(text, text, timestamptz, timestamptz, boolean) is
    'Looks over the candles of a series of the days that a range touches: makes the longer ones anew that were made here, closes what is known, keeps how fetched longer candles differ from what their parts come to. With `reopen` closed candles that are not known whole are opened again. Returns how many changed, by timeframe';

create or replace view partial_candles as
select kept.exchange, kept.symbol, kept.timeframe, kept.window_start, kept.window_end,
       coalesce(windows.known_minutes, 0) as known_minutes, whole_minutes(kept.timeframe) as minutes, kept.tier
from all_candles kept
left join lateral known_windows(kept.exchange, kept.symbol, kept.timeframe, kept.window_start, kept.window_end) windows on true
where not kept.closed and kept.window_end <= now();
