-- Old rows move to cold_storage: deleted and inserted by one statement, so that a row is always in exactly one place.
-- A call moves at most batch_rows rows (the oldest first) and returns how many; call again until it returns 0.

create or replace function lock_tiering(shared boolean) returns void
language plpgsql
as $$
begin
    if shared then
        perform pg_advisory_xact_lock_shared(hashtextextended('cryptoviz:tiering', 0));
    else
        perform pg_advisory_xact_lock(hashtextextended('cryptoviz:tiering', 0));
    end if;
end
$$;

create or replace function tier_old_candles(batch_rows integer default 100000) returns bigint
language plpgsql
as $$
declare
    moved bigint;
begin
    perform lock_tiering(shared => false);
    with due as (
        select window_start, exchange, symbol, timeframe
        from candles join tiering_policy policy using (timeframe)
        where policy.subject = 'candles' and policy.hot_age is not null and candles.window_end <= now() - policy.hot_age
          and candles.window_end <= now() - (select min(hot_age) from tiering_policy where subject = 'candles')
        order by window_start
        limit batch_rows
    ), gone as (
        delete from candles using due
        where candles.window_start = due.window_start and candles.exchange = due.exchange
          and candles.symbol = due.symbol and candles.timeframe = due.timeframe
        returning candles.*
    ), kept as (
        insert into cold_storage.candles as stored select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do update
            set (window_end, open, high, low, close, volume, trade_count, closed, source, received_at)
                = (excluded.window_end, excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume,
                   excluded.trade_count, excluded.closed, excluded.source, excluded.received_at)
            where excluded.source = 'rest' or stored.source = 'stream'
    )
    select count(*) into moved from gone;
    return moved;
end
$$;
comment on function tier_old_candles(integer) is
    'Moves one batch of candles older than their timeframe''s hot age to cold_storage; returns the number of rows';

create or replace function tier_old_indicators(batch_rows integer default 100000) returns bigint
language plpgsql
as $$
declare
    moved bigint;
begin
    perform lock_tiering(shared => false);
    with due as (
        select window_start, exchange, symbol, timeframe
        from indicators join tiering_policy policy using (timeframe)
        where policy.subject = 'indicators' and policy.hot_age is not null
          and indicators.window_start <= now() - policy.hot_age - timeframe_length(timeframe)
          and indicators.window_start <= now() - (select min(hot_age) from tiering_policy where subject = 'indicators')
        order by window_start
        limit batch_rows
    ), gone as (
        delete from indicators using due
        where indicators.window_start = due.window_start and indicators.exchange = due.exchange
          and indicators.symbol = due.symbol and indicators.timeframe = due.timeframe
        returning indicators.*
    ), kept as (
        insert into cold_storage.indicators select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do update
            set (rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower,
                 momentum_10, state, received_at)
                = (excluded.rsi_14, excluded.macd, excluded.macd_signal, excluded.macd_histogram,
                   excluded.bollinger_upper, excluded.bollinger_middle, excluded.bollinger_lower,
                   excluded.momentum_10, excluded.state, excluded.received_at)
    )
    select count(*) into moved from gone;
    return moved;
end
$$;
comment on function tier_old_indicators(integer) is
    'Moves one batch of indicators older than their timeframe''s hot age to cold_storage; returns the number of rows';

create or replace function tier_old_news(batch_rows integer default 100000) returns bigint
language plpgsql
as $$
declare
    moved bigint;
begin
    perform lock_tiering(shared => false);
    with due as (
        select "timestamp", website, article_id
        from article_data
        where "timestamp" <= now() - (select hot_age from tiering_policy where subject = 'news')
        order by "timestamp"
        limit batch_rows
    ), gone as (
        delete from article_data using due
        where article_data."timestamp" = due."timestamp" and article_data.website = due.website
          and article_data.article_id = due.article_id
        returning article_data.*
    ), kept as (
        insert into cold_storage.article_data as stored select * from gone
        on conflict ("timestamp", website, article_id) do update
            set (title, url, summary, cryptocurrencies_mentioned, sentiment_score, sentiment_label, revision,
                 received_at)
                = (excluded.title, excluded.url, excluded.summary, excluded.cryptocurrencies_mentioned,
                   excluded.sentiment_score, excluded.sentiment_label, excluded.revision, excluded.received_at)
            where excluded.revision >= stored.revision
    )
    select count(*) into moved from gone;
    return moved;
end
$$;
comment on function tier_old_news(integer) is
    'Moves one batch of articles older than their hot age to cold_storage; returns the number of rows';

create or replace function recall_candles(exchanges text[], pairs text[], instants timestamptz[]) returns bigint
language plpgsql
as $$
declare
    moved bigint;
begin
    perform lock_tiering(shared => true);
    with touched as (
        select distinct exchange, pair, date_bin(interval '24 hours', instant, 'epoch') as day
        from unnest(exchanges, pairs, instants) given (exchange, pair, instant)
    ), gone as (
        delete from cold_storage.candles cold using touched
        where cold.exchange = touched.exchange and cold.symbol = touched.pair
          and cold.window_start >= touched.day and cold.window_start < touched.day + interval '24 hours'
          and cold.window_start >= (select min(day) from touched)
          and cold.window_start < (select max(day) + interval '24 hours' from touched)
        returning cold.*
    ), back as (
        insert into candles select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do nothing
    )
    select count(*) into moved from gone;
    return moved;
end
$$;
comment on function recall_candles(text[], text[], timestamptz[]) is
    'Brings the days that the instants touch back from cold_storage, so that old candles can be corrected in one place; call it before writing candles older than a week';
