-- Views hide where a row lives; rollups are of whole hours in UTC.

create view all_candles as
select window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed,
       source, received_at, 'hot' as tier
from candles
union all
select window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count, closed,
       source, received_at, 'cold' as tier
from cold_storage.candles;

create view all_indicators as
select window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper,
       bollinger_middle, bollinger_lower, momentum_10, received_at, 'hot' as tier
from indicators
union all
select window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper,
       bollinger_middle, bollinger_lower, momentum_10, received_at, 'cold' as tier
from cold_storage.indicators;

create view all_news as
select "timestamp", website, article_id, title, url, summary, cryptocurrencies_mentioned, sentiment_score,
       sentiment_label, revision, received_at, 'hot' as tier
from article_data
union all
select "timestamp", website, article_id, title, url, summary, cryptocurrencies_mentioned, sentiment_score,
       sentiment_label, revision, received_at, 'cold' as tier
from cold_storage.article_data;

-- A view on every edition: candles are tiered, and a continuous aggregate over the hot table would forget the cold.
create view candles_hourly_summary as
select time_bucket('1 hour', window_start) as hour, symbol, first(open, window_start) as open, max(high) as high,
       min(low) as low, last(close, window_start) as close, sum(volume) as volume, exchange
from all_candles
where timeframe = '1m'
group by 1, 2, exchange;

select make_rollup('sentiment_hourly', $$
    select time_bucket('1 hour', "timestamp") as hour, crypto_symbol, source, avg(sentiment_score) as sentiment_score,
           min(sentiment_score) as lowest_score, max(sentiment_score) as highest_score,
           sum(article_count) as article_count, count(*) as windows
    from sentiment_data
    group by 1, 2, 3
$$);

select make_rollup('ticker_ohlc_hourly', $$
    select time_bucket('1 hour', "timestamp") as hour, pair, exchange, first(last, "timestamp") as open,
           max(last) as high, min(last) as low, last(last, "timestamp") as close, count(*) as tickers
    from ticker_data
    group by 1, 2, 3
$$);
