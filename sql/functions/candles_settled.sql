-- Candles looked over once more, hot and cold where they lie: longer ones made anew from the shorter, closed where all of
-- them is known, compared where an exchange gave the whole as well.
--
--   candle_corrections: what is to be done, without a lock --anything?--> settle_candles, piece by piece, under the lock

drop function if exists settle_coverage(text, text, timestamptz, timestamptz);
create or replace function settle_coverage(exchange text, pair text, since timestamptz, until timestamptz, trades bigint)
returns timestamptz
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    upto timestamptz := least(until, since + interval '1 hour');
    looked_at tstzrange;
begin
    -- A busy hour has a hundred thousand trades: as many as are looked at while the stream waits.
    upto := least(upto, (
        select greatest("timestamp", since + interval '1 microsecond') from trade_data
        where trade_data.exchange = settle_coverage.exchange and trade_data.pair = settle_coverage.pair
          and "timestamp" >= since and "timestamp" < upto
        order by "timestamp" offset greatest(trades, 1) limit 1));
    perform lock_candles();
    perform lock_series(array[exchange], array[settle_coverage.pair]);
    looked_at := cover_trades(exchange, settle_coverage.pair, since, upto);
    -- Where nobody traded for long there is nothing to look at.
    return least(until, greatest(upto, upper(looked_at)));
end
$$;
comment on function settle_coverage(text, text, timestamptz, timestamptz, bigint) is
    'Brings trade_coverage in line with an hour of trades from `since` on, or with so many trades where there are more; returns where to go on. Call it until that is `until`, each time in a transaction of its own';

create or replace function candle_corrections(exchange text, symbol text, timeframe text, since timestamptz,
                                              until timestamptz, reopen boolean default false)
returns table (bucket timestamptz, action text, tier text, open numeric, high numeric, low numeric, close numeric,
               volume numeric, trade_count bigint, differs boolean, was_closed boolean, closes boolean,
               kept_open numeric, kept_high numeric, kept_low numeric, kept_close numeric, kept_volume numeric,
               kept_count bigint)
language plpgsql stable
set jit = off
set plan_cache_mode = force_custom_plan
-- Of what was written a moment ago there are no statistics yet: a plan that is right for any number of rows.
set enable_nestloop = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(timeframe);
    part constant text := case timeframe when '5m' then '1m' when '15m' then '5m' when '1h' then '15m' when '1d' then '1h' end;
    from_ts constant timestamptz := date_bin(length, since, 'epoch');
    to_ts constant timestamptz := date_bin(length, until + length - interval '1 microsecond', 'epoch');
    known constant timestamptz[] := array(
        select windows.window_start
        from known_windows(exchange, symbol, candle_corrections.timeframe, from_ts, to_ts) windows
        where windows.known_minutes = whole_minutes(candle_corrections.timeframe));
    -- Of what has moved to the archive a few may have come later: they are not the whole.
    gone constant tstzmultirange := (
        select coalesce(range_agg(tstzrange(first_at, last_at, '[]')), '{}') from archive_files files
        where files.subject = 'candles' and files.exchange = candle_corrections.exchange
          and files.symbol = candle_corrections.symbol and files.timeframe = part and first_at < to_ts
          and last_at >= from_ts);
    oldest timestamptz;
begin
    if reopen and exists (select from archive_files where subject = 'trade_data') then
        -- Whether the first minute that is left was whole nobody can say any more.
        oldest := (select date_trunc('minute', "timestamp") from trade_data
                   where trade_data.exchange = candle_corrections.exchange and pair = candle_corrections.symbol
                   order by "timestamp" limit 1);
    end if;

    return query
    with parts as materialized (
        select distinct on (window_start) date_bin(length, window_start, 'epoch') as bucket, window_start, open, high,
               low, close, volume, trade_count, traded(volume, trade_count) as has_trades
        from all_candles
        where exchange = candle_corrections.exchange and symbol = candle_corrections.symbol
          and timeframe = coalesce(part, candle_corrections.timeframe) and window_start >= from_ts and window_start < to_ts
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
    ), made as materialized (
        select computed.*, parts_left, bucket + length <= now() and bucket = any (known) and not parts_left as known
        from computed
        cross join lateral (select gone && tstzrange(bucket, bucket + length) as parts_left) archived
    ), stored as materialized (
        select * from all_candles
        where exchange = candle_corrections.exchange and symbol = candle_corrections.symbol
          and timeframe = candle_corrections.timeframe and window_start >= from_ts and window_start < to_ts
    ), noted as materialized (
        select * from candle_differences
        where exchange = candle_corrections.exchange and symbol = candle_corrections.symbol
          and timeframe = candle_corrections.timeframe and window_start >= from_ts and window_start < to_ts
    ), compared as materialized (
        select made.*, kept.tier, kept.source, kept.closed as was_closed,
               (made.open, made.high, made.low, made.close, made.volume, made.trade_count)
                   is distinct from (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.trade_count) as differs,
               (made.open, made.high, made.low, made.close, made.volume)
                   is distinct from (kept.open, kept.high, kept.low, kept.close, kept.volume)
                   or made.trade_count <> kept.trade_count and made.trade_count > 0 and kept.trade_count > 0
                   as contradicts,
               kept.open as kept_open, kept.high as kept_high, kept.low as kept_low, kept.close as kept_close,
               kept.volume as kept_volume, kept.trade_count as kept_count, noted.cause,
               (noted.stream_open, noted.stream_high, noted.stream_low, noted.stream_close, noted.stream_volume,
                noted.stream_trade_count, noted.rest_open, noted.rest_high, noted.rest_low, noted.rest_close,
                noted.rest_volume, noted.rest_trade_count)
                   is not distinct from
                   (made.open, made.high, made.low, made.close, made.volume, made.trade_count, kept.open,
                    kept.high, kept.low, kept.close, kept.volume, kept.trade_count) as is_noted,
               case when kept.closed and not made.known and reopen and not parts_left
                             and is_no_less(made.volume, made.trade_count, kept.volume, kept.trade_count)
                        then part is null and not (
                            bucket > coalesce(oldest, '-infinity') and exists (
                                select from trade_data
                                where trade_data.exchange = candle_corrections.exchange
                                  and pair = candle_corrections.symbol
                                  and "timestamp" >= bucket and "timestamp" < bucket + length))
                    else kept.closed or made.known end as closes
        from made
        left join stored kept on kept.window_start = bucket
        left join noted on noted.window_start = bucket
    ), actions as materialized (
        select *,
               case when source is null then case when known and part is not null then 'make' end
                    when source = 'stream' then
                        -- Shorter candles leave the database before the longer ones: some of them must not replace all.
                        case when (differs or closes <> was_closed)
                                  and (not was_closed or known
                                       or is_no_less(volume, trade_count, kept_volume, kept_count))
                                 then 'change' end
                    when part is null or not known then null
                    when contradicts then case when not is_noted then 'differ' end
                    when cause <> 'late_trades' then 'agree' end as action
        from compared
    )
    select bucket, action, tier, open, high, low, close, volume, trade_count, differs, was_closed, closes, kept_open,
           kept_high, kept_low, kept_close, kept_volume, kept_count
    from actions
    where action is not null
    order by bucket;
end
$$;
comment on function candle_corrections(text, text, text, timestamptz, timestamptz, boolean) is
    'What settle_candles would do about the candles of one timeframe in a range: `change` or `make` one, note that a fetched one does `differ` from its parts or that both `agree` now. Writes nothing and takes no lock';

drop function if exists settle_candles(text, text, timestamptz, timestamptz, boolean);
create or replace function settle_candles(exchange text, symbol text, timeframe text, since timestamptz,
                                          until timestamptz, reopen boolean default false)
returns table (corrected bigint, closed bigint, reopened bigint, made bigint, differing bigint)
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(timeframe);
    from_ts constant timestamptz := date_bin(length, since, 'epoch');
    to_ts constant timestamptz := date_bin(length, until + length - interval '1 microsecond', 'epoch');
begin
    perform lock_candles();
    perform lock_series(array[settle_candles.exchange], array[settle_candles.symbol]);
    return query
    with actions as materialized (
        select * from candle_corrections(settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe,
                                         from_ts, to_ts, reopen)
    ), changes as materialized (
        select * from actions where action = 'change'
    ), hot as (
        update candles kept
        set (open, high, low, close, volume, trade_count, closed, received_at)
            = (changes.open, changes.high, changes.low, changes.close, changes.volume, changes.trade_count,
               changes.closes, now())
        from changes
        where changes.tier = 'hot' and kept.window_start = bucket and kept.exchange = settle_candles.exchange
          and kept.symbol = settle_candles.symbol and kept.timeframe = settle_candles.timeframe
          and kept.source = 'stream' and kept.window_start >= from_ts and kept.window_start < to_ts
    ), cold as (
        update cold_storage.candles kept
        set (open, high, low, close, volume, trade_count, closed, received_at)
            = (changes.open, changes.high, changes.low, changes.close, changes.volume, changes.trade_count,
               changes.closes, now())
        from changes
        where changes.tier = 'cold' and kept.window_start = bucket and kept.exchange = settle_candles.exchange
          and kept.symbol = settle_candles.symbol and kept.timeframe = settle_candles.timeframe
          and kept.source = 'stream' and kept.window_start >= from_ts and kept.window_start < to_ts
    ), fresh as (
        insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                             trade_count, closed, source)
        select bucket, bucket + length, settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe, open,
               high, low, close, volume, trade_count, true, 'stream'
        from actions
        where action = 'make'
        returning window_start
    ), noted as (
        insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start)
        select settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe, min(bucket), max(bucket)
        from changes
        where was_closed or closes
        having count(*) > 0
    ), differences as (
        insert into candle_differences (
            window_start, exchange, symbol, timeframe, stream_open, stream_high, stream_low, stream_close,
            stream_volume, stream_trade_count, rest_open, rest_high, rest_low, rest_close, rest_volume,
            rest_trade_count)
        select bucket, settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe, open, high, low, close,
               volume, trade_count, kept_open, kept_high, kept_low, kept_close, kept_volume, kept_count
        from actions
        where action = 'differ'
        on conflict (window_start, exchange, symbol, timeframe) do update
            set (stream_open, stream_high, stream_low, stream_close, stream_volume, stream_trade_count, rest_open,
                 rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
                = (excluded.stream_open, excluded.stream_high, excluded.stream_low, excluded.stream_close,
                   excluded.stream_volume, excluded.stream_trade_count, excluded.rest_open, excluded.rest_high,
                   excluded.rest_low, excluded.rest_close, excluded.rest_volume, excluded.rest_trade_count, null,
                   null)
        returning window_start
    ), agreeing as (
        -- Whichever of the two has changed: they are the same now.
        update candle_differences differing
        set (rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
            = (kept_open, kept_high, kept_low, kept_close, kept_volume, kept_count, null, null)
        from actions
        where action = 'agree' and differing.window_start = bucket and differing.exchange = settle_candles.exchange
          and differing.symbol = settle_candles.symbol and differing.timeframe = settle_candles.timeframe
          and differing.window_start >= from_ts and differing.window_start < to_ts
    )
    select count(*) filter (where differs), count(*) filter (where closes and not was_closed),
           count(*) filter (where was_closed and not closes), (select count(*) from fresh),
           (select count(*) from differences)
    from changes;
end
$$;
comment on function settle_candles(text, text, text, timestamptz, timestamptz, boolean) is
    'Looks over the candles of one timeframe of a series in a range, the shorter ones first: makes longer ones anew that were made here, closes what is known, keeps how fetched longer candles differ from what their parts come to. With `reopen` closed candles that are not known whole are opened again. Returns how many changed';

create or replace view partial_candles as
select kept.exchange, kept.symbol, kept.timeframe, kept.window_start, kept.window_end,
       coalesce(windows.known_minutes, 0) as known_minutes, whole_minutes(kept.timeframe) as minutes, kept.tier
from all_candles kept
left join lateral known_windows(kept.exchange, kept.symbol, kept.timeframe, kept.window_start, kept.window_end) windows on true
where not kept.closed and kept.window_end <= now();
