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

-- Some interfaces count no trades: a count of 0 beside a volume says nothing. That a longer candle of which a part is not
-- known differs from the whole goes without saying.
create or replace trigger candles_replaced after update on candles
    for each row when (
        old.source = 'stream' and new.source = 'rest' and (old.closed or old.timeframe = '1m')
        and ((old.open, old.high, old.low, old.close, old.volume)
             is distinct from (new.open, new.high, new.low, new.close, new.volume)
             or (old.trade_count <> new.trade_count and (new.trade_count > 0 or new.volume = 0)))
    )
    execute function keep_candle_difference();

create or replace function judge_again(exchanges text[], symbols text[], instants timestamptz[]) returns void
language plpgsql
set jit = off
as $$
#variable_conflict use_column
begin
    if exists (
        select from candle_differences
        where cause <> 'late_trades' and window_start > (select min(instant) - interval '24 hours' from unnest(instants) instant)
          and window_start <= (select max(instant) from unnest(instants) instant)
    ) then
        update candle_differences differing set cause = null, explained_at = null
        from (
            select distinct given.exchange, given.symbol, length.timeframe,
                   date_bin(timeframe_length(length.timeframe), instant, 'epoch') as bucket
            from unnest(exchanges, symbols, instants) given (exchange, symbol, instant),
                 unnest(array['1m', '5m', '15m', '1h', '1d']) length (timeframe)
        ) touched
        where differing.window_start = touched.bucket and differing.exchange = touched.exchange
          and differing.symbol = touched.symbol and differing.timeframe = touched.timeframe
          and differing.cause <> 'late_trades';
    end if;
end
$$;
comment on function judge_again(text[], text[], timestamptz[]) is
    'Has the differences whose windows some trades touch judged again: what their causes rest on has changed. That the trades came late is the last word';

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

    -- What longer candles are made of them settle_candles makes, wherever their parts lie.
    return query
    select * from make_wholes(store_fetched_candles.exchange, store_fetched_candles.symbol, '1m', starts)
    where store_fetched_candles.timeframe = '1m';
end
$$;
comment on function store_fetched_candles(text, text, text, timestamptz[], numeric[], numeric[], numeric[], numeric[],
                                          numeric[], bigint[]) is
    'Stores closed candles of one series as an exchange gave them, and makes the longer ones that nobody fetched anew. Returns the rows it changed';
