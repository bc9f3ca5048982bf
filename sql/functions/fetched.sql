-- Candles that an exchange's REST interface gave, closed: they win over what the trades had come to, and where the two
-- differ the difference is kept, whoever writes the candle and however.
--
--   store_fetched_candles --> candles (source rest) --differs from the stream's--> candle_differences
--                                              \-> longer candles that nobody fetched

create or replace function keep_candle_difference() returns trigger
language plpgsql
set jit = off
as $$
begin
    insert into candle_differences (window_start, exchange, symbol, timeframe,
                                    stream_open, stream_high, stream_low, stream_close, stream_volume,
                                    stream_trade_count,
                                    rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count)
    values (old.window_start, old.exchange, old.symbol, old.timeframe,
            old.open, old.high, old.low, old.close, old.volume, old.trade_count,
            new.open, new.high, new.low, new.close, new.volume, new.trade_count)
    on conflict (window_start, exchange, symbol, timeframe) do update
        set (rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
            = (excluded.rest_open, excluded.rest_high, excluded.rest_low, excluded.rest_close, excluded.rest_volume,
               excluded.rest_trade_count, null, null);
    return null;
end
$$;
comment on function keep_candle_difference() is 'Keeps how a fetched candle differs from the one it replaces';

-- Some interfaces count no trades: a count of 0 beside a volume says nothing.
create or replace trigger candles_replaced after update on candles
    for each row when (
        old.source = 'stream' and new.source = 'rest'
        and ((old.open, old.high, old.low, old.close, old.volume)
             is distinct from (new.open, new.high, new.low, new.close, new.volume)
             or (old.trade_count <> new.trade_count and (new.trade_count > 0 or new.volume = 0)))
    )
    execute function keep_candle_difference();

create or replace function store_fetched_candles(
    exchange text, symbol text, timeframe text, starts timestamptz[], opens numeric[], highs numeric[], lows numeric[],
    closes numeric[], volumes numeric[], trade_counts bigint[]
) returns setof candles
language plpgsql
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(store_fetched_candles.timeframe);
    exchanges constant text[] := array_fill(store_fetched_candles.exchange, array[cardinality(starts)]);
    symbols constant text[] := array_fill(store_fetched_candles.symbol, array[cardinality(starts)]);
    first constant timestamptz := (select min(date_bin(interval '24 hours', start, 'epoch')) from unnest(starts) start);
    last constant timestamptz := (select max(start) + interval '24 hours' from unnest(starts) start);
    sound timestamptz[];
    step record;
begin
    perform lock_candles();
    perform lock_series(exchanges, symbols);
    perform recall_fetched(store_fetched_candles.exchange, store_fetched_candles.symbol,
                           store_fetched_candles.timeframe, starts);
    perform overtake_held(store_fetched_candles.exchange, store_fetched_candles.symbol, store_fetched_candles.timeframe,
                          starts);
    return query
    insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
                                   volume, trade_count, closed, source, received_at)
    select given.start, given.start + length, store_fetched_candles.exchange, store_fetched_candles.symbol,
           store_fetched_candles.timeframe, given.open, given.high, given.low, given.close, given.volume,
           given.trade_count, true, 'rest', now()
    from unnest(starts, opens, highs, lows, closes, volumes, trade_counts)
        given (start, open, high, low, close, volume, trade_count)
    on conflict (window_start, exchange, symbol, timeframe) do update
        set (open, high, low, close, volume, trade_count, closed, source, received_at)
            = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               excluded.closed, excluded.source, excluded.received_at)
        where (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count, stored.closed,
               stored.source)
              is distinct from
              (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               excluded.closed, excluded.source)
    returning stored.*;

    for step in
        select part, whole
        from (values (1, '1m', '5m'), (2, '5m', '15m'), (3, '15m', '1h'), (4, '1h', '1d')) steps (place, part, whole)
        where store_fetched_candles.timeframe = '1m'
        order by place
    loop
        -- A candle of a few minutes alone must not pass for one of the whole hour: it would hide that it is missing.
        sound := array(
            select bucket
            from (
                select distinct date_bin(timeframe_length(step.whole), start, 'epoch') as bucket
                from unnest(starts) start
            ) touched
            where exists (
                select from candles
                where exchange = store_fetched_candles.exchange and symbol = store_fetched_candles.symbol
                  and timeframe = step.whole and window_start = bucket
                  and window_start >= first and window_start < last
            ) or timeframe_length(step.whole) = timeframe_length(step.part) * (
                select count(*) from candles
                where exchange = store_fetched_candles.exchange and symbol = store_fetched_candles.symbol
                  and timeframe = step.part and window_start >= bucket
                  and window_start < bucket + timeframe_length(step.whole)
                  and window_start >= first and window_start < last
            )
        );
        return query select * from refresh_wholes(
            exchanges[:cardinality(sound)], symbols[:cardinality(sound)], sound, step.part, step.whole);
    end loop;
end
$$;
comment on function store_fetched_candles(text, text, text, timestamptz[], numeric[], numeric[], numeric[], numeric[],
                                          numeric[], bigint[]) is
    'Stores closed candles of one series as an exchange gave them, and makes the longer ones that nobody fetched anew from minutes. Returns the rows it changed';
