-- What is undecided of a minute, and what decides it.
--
--   row of a file in quarantine --> held_trades: the minute has no candle --released, discarded--> candle of what is left
--                                                                        \-a fetched candle comes--> that one counts
--   candle in quarantine ------a fetched candle that passes comes--> that one counts

create or replace function overtake_held(exchange text, symbol text, timeframe text, starts timestamptz[])
returns void
language plpgsql
set plan_cache_mode = force_custom_plan
set jit = off
as $$
#variable_conflict use_column
declare
    by_whom constant text := 'overtaken by a candle';
begin
    -- Whoever decides a row holds it before he wants the candles: he is not waited for, and has the last word on it.
    update quarantine
    set released_at = clock_timestamp(), resolved_by = by_whom
    where id in (
        select id from quarantine
        where subject = 'candles_rest' and quarantine_is_open(quarantine)
          and payload ->> 'exchange' = overtake_held.exchange and payload ->> 'symbol' = overtake_held.symbol
          and payload ->> 'timeframe' = overtake_held.timeframe
          and key in (
              select concat_ws('|', overtake_held.exchange, overtake_held.symbol, overtake_held.timeframe,
                               to_char(start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00')
              from unnest(starts) start)
        for update skip locked);
    if overtake_held.timeframe <> '1m' or not exists (
        select from held_trades
        where exchange = overtake_held.exchange and symbol = overtake_held.symbol and minute = any (starts) and held
    ) then
        return;
    end if;
    with undecided as (
        -- Minutes of which nothing is undecided stay until the silence after them is stored, too.
        select minute, fingerprint, row_number from held_trades rows
        where exchange = overtake_held.exchange and symbol = overtake_held.symbol and minute = any (starts)
          and exists (
              select from held_trades waiting
              where waiting.minute = rows.minute and waiting.exchange = rows.exchange and waiting.symbol = rows.symbol
                and waiting.fingerprint = rows.fingerprint and waiting.held)
        for update skip locked
    ), gone as (
        delete from held_trades
        using undecided
        where held_trades.exchange = overtake_held.exchange and held_trades.symbol = overtake_held.symbol
          and held_trades.minute = undecided.minute and held_trades.fingerprint = undecided.fingerprint
          and held_trades.row_number = undecided.row_number
        returning held_trades.fingerprint, held_trades.row_number, held
    ), free as (
        select id from quarantine
        where subject = 'trades_import' and quarantine_is_open(quarantine)
          and key in (
              select fingerprint || ':' || row_number from gone
              where held and not exists (
                  select from held_trades kept
                  where kept.fingerprint = gone.fingerprint and kept.row_number = gone.row_number
                    and kept.minute <> all (starts)))
        for update skip locked
    )
    update quarantine
    set released_at = clock_timestamp(), resolved_by = by_whom
    where id in (select id from free);
end
$$;
comment on function overtake_held(text, text, text, timestamptz[]) is
    'A fetched candle says what a window was: nothing of it waits in quarantine for a decision any more, but for what somebody decides at this moment';

create or replace function explain_trade(exchange text, pair text, trade_id bigint, made timestamptz, reason text)
returns setof trade_gaps
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    id constant int8multirange := int8multirange(int8range(explain_trade.trade_id, explain_trade.trade_id, '[]'));
    all_ids constant int8multirange := '{(,)}';
    known trade_gaps[];
    wanted trade_gaps[] := '{}';
    gap trade_gaps;
    piece trade_gaps;
begin
    perform lock_gaps(explain_trade.exchange, explain_trade.pair, 'trades');
    if exists (select from trade_data
               where exchange = explain_trade.exchange and pair = explain_trade.pair and trade_id = explain_trade.trade_id
                 and "timestamp" between made - interval '1 hour' and made + interval '1 hour') then
        return;
    end if;
    known := array(
        select trade_gaps from trade_gaps
        where exchange = explain_trade.exchange and pair = explain_trade.pair and status <> 'healed'
          and int8range(first_missing_id, last_missing_id, '[]') && id);
    gap := row(explain_trade.exchange, explain_trade.pair, explain_trade.trade_id, explain_trade.trade_id, null, 'open', 0,
               now(), null, '{}', now(), 0, null, null, made, made)::trade_gaps;
    foreach gap in array case when cardinality(known) > 0 then known else array[gap] end loop
        piece := gap;
        piece.first_missing_id := explain_trade.trade_id;
        piece.last_missing_id := explain_trade.trade_id;
        piece.label := 'source_missing';
        piece.status := 'explained';
        piece.due_at := null;
        piece.detail := gap.detail || jsonb_build_object('reason', reason);
        wanted := wanted || piece;
        wanted := wanted || array(select part from trade_gap_parts(gap, all_ids - id) part);
    end loop;
    return query select * from replace_trade_gaps(known, wanted);
end
$$;
comment on function explain_trade(text, text, bigint, timestamptz, text) is
    'Writes down that there is no trade of an id, such as when somebody has discarded what a file gave for it. Returns the rows it changed';
