-- No fact is NaN or infinite. `check (price > 0)` lets both in: to PostgreSQL NaN is above every number, and equal to NaN.
--
-- Where such rows are stored they go to quarantine, so that their windows count as missing and are fetched again. Without
-- them each table is read once. Indicators are left out: what is computed from finite numbers in double precision is finite,
-- or an error.

create function pg_temp.finite(relation regclass, subject text, holds text) returns void
language plpgsql
as $$
declare
    add_check constant text := format('alter table %s add constraint finite_numbers check (%s)', relation, holds);
    held bigint;
    chunk regclass;
begin
    begin
        execute add_check;
        return;
    exception
        when check_violation then
            execute format(
                'with gone as (delete from %1$s as stored where (%2$s) is false returning to_jsonb(stored) as payload) '
                'insert into quarantine (subject, payload, origin, reason, expectation, run) '
                'select %3$L, payload, jsonb_build_object(''table'', %4$L), %5$L, ''finite_numbers'', ''upgrade'' from gone',
                relation, holds, subject, relation::text, 'A number is finite: NaN and Infinity are none.');
            get diagnostics held = row_count;
            insert into action_log (action, subject, detail)
            values ('numbers_that_are_none_removed', relation::text, jsonb_build_object('quarantined', held));
        when feature_not_supported then
            -- Before its version 2.20 TimescaleDB cannot look into compressed chunks; keep_storage compresses them again.
            for chunk in
                select format('%I.%I', chunk_schema, chunk_name)::regclass
                from timescaledb_information.chunks
                where format('%I.%I', hypertable_schema, hypertable_name)::regclass = relation and is_compressed
            loop
                perform decompress_chunk(chunk);
            end loop;
    end;
    execute add_check;
end
$$;

select pg_temp.finite('trade_data', 'trades', 'price < ''Infinity'' and volume < ''Infinity''');
select pg_temp.finite('ticker_data', 'tickers',
                      'last < ''Infinity'' and bid < ''Infinity'' and ask < ''Infinity'' and volume_24h < ''Infinity'''
                      ' and abs(pct_change) < ''Infinity''');
select pg_temp.finite('alert_data', 'alerts',
                      'last_price < ''Infinity'' and abs(change_percent) < ''Infinity'' and abs(threshold) < ''Infinity''');

-- The other prices of a candle lie between low and high, by a check that is there.
select pg_temp.finite(relation, 'candles', 'high < ''Infinity'' and volume < ''Infinity''')
from unnest(array['candles', 'cold_storage.candles', 'exchange_candles']::regclass[]) as relation;
select pg_temp.finite('candle_checkpoint', 'candles',
                      'abs(high) < ''Infinity'' and abs(low) < ''Infinity'' and abs(volume) < ''Infinity''');
select pg_temp.finite('candle_differences', 'candles',
                      string_agg(format('abs(%I_%I) < ''Infinity''', origin, figure), ' and ' order by origin, figure))
from unnest(array['stream', 'rest']) as origin, unnest(array['open', 'high', 'low', 'close', 'volume']) as figure;

select pg_temp.finite('instruments', 'instruments', 'price_increment < ''Infinity'' and volume_increment < ''Infinity''');
select pg_temp.finite('market_data', 'market', string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['price_usd', 'market_cap', 'volume_24h', 'change_1h', 'change_24h', 'change_7d', 'ath', 'atl',
                  'circulating_supply']) as figure;

select pg_temp.finite('sentiment_data', 'sentiment', 'abs(confidence) < ''Infinity''');
select pg_temp.finite('prediction_data', 'predictions',
                      string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['predicted_price', 'actual_price', 'confidence_interval_low', 'confidence_interval_high']) as figure;
select pg_temp.finite('analytics_data', 'analytics',
                      string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['mean', 'stddev', 'min', 'max', 'volatility_percent']) as figure;
select pg_temp.finite('anomaly_data', 'anomalies',
                      string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['value', 'expected', 'score']) as figure;
