-- No fact is NaN or infinite. `check (price > 0)` lets both in: to PostgreSQL NaN is above every number, and equal to NaN.
--
-- From here on nothing new is. What is stored already is looked at later, table by table and without keeping anybody from
-- reading or writing: each table is closed for a moment only here. Indicators are left out: what is computed from finite
-- numbers in double precision is finite, or an error.

create function pg_temp.finite(relation regclass, holds text) returns void
language plpgsql
as $$
begin
    execute format('alter table %s add constraint finite_numbers check (%s) not valid', relation, holds);
end
$$;

select pg_temp.finite('trade_data', 'price < ''Infinity'' and volume < ''Infinity''');
select pg_temp.finite('ticker_data',
                      'last < ''Infinity'' and bid < ''Infinity'' and ask < ''Infinity'' and volume_24h < ''Infinity'''
                      ' and abs(pct_change) < ''Infinity''');
select pg_temp.finite('alert_data',
                      'last_price < ''Infinity'' and abs(change_percent) < ''Infinity'' and abs(threshold) < ''Infinity''');

-- The other prices of a candle lie between low and high, by a check that is there.
select pg_temp.finite(relation, 'high < ''Infinity'' and volume < ''Infinity''')
from unnest(array['candles', 'exchange_candles']::regclass[]) as relation;
select pg_temp.finite('candle_checkpoint',
                      'abs(high) < ''Infinity'' and abs(low) < ''Infinity'' and abs(volume) < ''Infinity''');
select pg_temp.finite('candle_differences',
                      string_agg(format('abs(%I_%I) < ''Infinity''', origin, figure), ' and ' order by origin, figure))
from unnest(array['stream', 'rest']) as origin, unnest(array['open', 'high', 'low', 'close', 'volume']) as figure;

select pg_temp.finite('instruments', 'price_increment < ''Infinity'' and volume_increment < ''Infinity''');
select pg_temp.finite('market_data', string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['price_usd', 'market_cap', 'volume_24h', 'change_1h', 'change_24h', 'change_7d', 'ath', 'atl',
                  'circulating_supply']) as figure;

select pg_temp.finite('sentiment_data', 'abs(confidence) < ''Infinity''');
select pg_temp.finite('prediction_data',
                      string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['predicted_price', 'actual_price', 'confidence_interval_low', 'confidence_interval_high']) as figure;
select pg_temp.finite('analytics_data',
                      string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['mean', 'stddev', 'min', 'max', 'volatility_percent']) as figure;
select pg_temp.finite('anomaly_data',
                      string_agg(format('abs(%I) < ''Infinity''', figure), ' and ' order by figure))
from unnest(array['value', 'expected', 'score']) as figure;
