-- What is stored and is no finite number goes to quarantine, so that its windows count as missing and are fetched again.
-- Each table is read twice; reading and writing go on, but new chunks and vacuum wait for the end.

create function pg_temp.keep_back(relation regclass, subject text, holds text) returns void
language plpgsql
as $$
declare
    held bigint;
begin
    execute format(
        'with gone as (delete from %1$s as stored where (%2$s) is false returning to_jsonb(stored) as payload) '
        'insert into quarantine (subject, payload, origin, reason, expectation, run) '
        'select %3$L, payload, jsonb_build_object(''table'', %4$L), %5$L, ''finite_numbers'', ''upgrade'' from gone',
        relation, holds, subject, relation::text, 'A number is finite: NaN and Infinity are none.');
    get diagnostics held = row_count;
    if held > 0 then
        insert into action_log (action, subject, detail)
        values ('numbers_that_are_none_removed', relation::text, jsonb_build_object('quarantined', held));
    end if;
end
$$;

do $$
declare
    unchecked record;
begin
    for unchecked in
        select relation, subject, pg_get_expr(conbin, conrelid) as holds
        from unnest(
            array['instruments', 'candle_checkpoint', 'candle_differences', 'alert_data', 'analytics_data', 'anomaly_data',
                  'prediction_data', 'sentiment_data', 'market_data', 'exchange_candles', 'candles', 'ticker_data',
                  'trade_data']::regclass[],
            array['instruments', 'candles', 'candles', 'alerts', 'analytics', 'anomalies', 'predictions', 'sentiment',
                  'market', 'candles', 'candles', 'tickers', 'trades']
        ) with ordinality as tables (relation, subject, place)
        join pg_constraint on conrelid = relation and conname = 'finite_numbers'
        order by place
    loop
        perform pg_temp.keep_back(unchecked.relation, unchecked.subject, unchecked.holds);
        execute format('alter table %s validate constraint finite_numbers', unchecked.relation);
    end loop;
end
$$;
