-- The tables of docs/data-dictionary.md. Facts (what a source said) are numeric, computed values double precision.
-- A key that contains a time starts with it, because rows then arrive at one end of the index; reads have their own.

-- Market data

create table ticker_data (
    "timestamp" timestamptz not null,
    exchange text not null,
    pair text not null,
    last numeric not null check (last > 0),
    bid numeric check (bid >= 0),
    ask numeric check (ask >= 0),
    volume_24h numeric check (volume_24h >= 0),
    pct_change numeric,
    received_at timestamptz not null default now(),
    primary key ("timestamp", exchange, pair)
);
select make_hypertable('ticker_data', 'timestamp', '1 day');
create index ticker_data_read on ticker_data (exchange, pair, "timestamp" desc);

create table trade_data (
    "timestamp" timestamptz not null,
    exchange text not null,
    pair text not null,
    trade_id bigint not null,
    price numeric not null check (price > 0),
    volume numeric not null check (volume > 0),
    side text not null check (side in ('buy', 'sell')),
    received_at timestamptz not null default now(),
    primary key ("timestamp", exchange, pair, trade_id)
);
select make_hypertable('trade_data', 'timestamp', '1 day');
create index trade_data_read on trade_data (exchange, pair, "timestamp", trade_id);

create table candles (
    window_start timestamptz not null,
    window_end timestamptz not null,
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    open numeric not null,
    high numeric not null,
    low numeric not null,
    close numeric not null,
    volume numeric not null check (volume >= 0),
    trade_count bigint not null default 0 check (trade_count >= 0),
    closed boolean not null default false,
    source text not null default 'stream' check (source in ('stream', 'rest')),
    received_at timestamptz not null default now(),
    primary key (window_start, exchange, symbol, timeframe),
    check (window_end > window_start),
    check (low > 0 and low <= least(open, close) and high >= greatest(open, close))
);
select make_hypertable('candles', 'window_start', '7 days');
create index candles_read on candles (exchange, symbol, timeframe, window_start desc);
create index candles_by_symbol on candles (symbol, timeframe, window_start desc);
create index candles_open on candles (window_end) where not closed;

create table exchange_candles (
    window_start timestamptz not null,
    window_end timestamptz not null,
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    open numeric not null,
    high numeric not null,
    low numeric not null,
    close numeric not null,
    volume numeric not null check (volume >= 0),
    trade_count bigint not null default 0 check (trade_count >= 0),
    closed boolean not null default false,
    source text not null default 'stream' check (source in ('stream', 'rest')),
    received_at timestamptz not null default now(),
    primary key (window_start, exchange, symbol, timeframe),
    check (window_end > window_start),
    check (low > 0 and low <= least(open, close) and high >= greatest(open, close))
);
select make_hypertable('exchange_candles', 'window_start', '7 days');
create index exchange_candles_read on exchange_candles (exchange, symbol, timeframe, window_start desc);

create table indicators (
    window_start timestamptz not null,
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    rsi_14 double precision,
    macd double precision,
    macd_signal double precision,
    macd_histogram double precision,
    bollinger_upper double precision,
    bollinger_middle double precision,
    bollinger_lower double precision,
    momentum_10 double precision,
    state double precision[],
    received_at timestamptz not null default now(),
    primary key (window_start, exchange, symbol, timeframe)
);
select make_hypertable('indicators', 'window_start', '7 days');
create index indicators_read on indicators (exchange, symbol, timeframe, window_start desc);

create table alert_data (
    "timestamp" timestamptz not null,
    exchange text not null,
    pair text not null,
    alert_type text not null,
    last_price numeric not null check (last_price > 0),
    change_percent double precision not null,
    threshold double precision not null,
    received_at timestamptz not null default now(),
    primary key ("timestamp", exchange, pair, alert_type)
);
select make_hypertable('alert_data', 'timestamp', '7 days');
create index alert_data_read on alert_data (pair, "timestamp" desc);

create table instruments (
    exchange text not null,
    pair text not null,
    status text not null,
    price_increment numeric check (price_increment > 0),
    volume_increment numeric check (volume_increment > 0),
    seen_from timestamptz not null default now(),
    seen_to timestamptz not null default now(),
    received_at timestamptz not null default now(),
    primary key (exchange, pair),
    check (seen_from <= seen_to)
);

-- News, mood and market overviews

create table article_data (
    "timestamp" timestamptz not null,
    website text not null,
    article_id text not null,
    title text not null,
    url text not null,
    summary text,
    cryptocurrencies_mentioned text[] not null default '{}',
    sentiment_score double precision check (sentiment_score between 0 and 1),
    sentiment_label text check (sentiment_label in ('positive', 'neutral', 'negative')),
    revision integer not null default 1 check (revision >= 1),
    received_at timestamptz not null default now(),
    primary key ("timestamp", website, article_id)
);
select make_hypertable('article_data', 'timestamp', '30 days');
create index article_data_coins on article_data using gin (cryptocurrencies_mentioned);

create table sentiment_data (
    "timestamp" timestamptz not null,
    crypto_symbol text not null,
    source text not null,
    sentiment_score double precision not null check (sentiment_score between 0 and 1),
    sentiment_label text not null check (sentiment_label in ('positive', 'neutral', 'negative')),
    confidence double precision,
    article_count integer not null default 0 check (article_count >= 0),
    received_at timestamptz not null default now(),
    primary key ("timestamp", crypto_symbol, source)
);
select make_hypertable('sentiment_data', 'timestamp', '30 days');
create index sentiment_data_read on sentiment_data (crypto_symbol, "timestamp" desc);

create table market_data (
    "timestamp" timestamptz not null,
    source text not null,
    symbol text not null,
    name text not null,
    price_usd numeric not null check (price_usd > 0),
    market_cap numeric check (market_cap >= 0),
    volume_24h numeric check (volume_24h >= 0),
    change_1h double precision,
    change_24h double precision,
    change_7d double precision,
    ath numeric check (ath >= 0),
    atl numeric check (atl >= 0),
    circulating_supply numeric check (circulating_supply >= 0),
    rank integer check (rank >= 1),
    received_at timestamptz not null default now(),
    primary key ("timestamp", source, symbol)
);
select make_hypertable('market_data', 'timestamp', '7 days');
create index market_data_read on market_data (symbol, "timestamp" desc);

create table fear_greed_data (
    "timestamp" timestamptz not null,
    value integer not null check (value between 0 and 100),
    classification text not null,
    received_at timestamptz not null default now(),
    primary key ("timestamp")
);
select make_hypertable('fear_greed_data', 'timestamp', '365 days');

-- Computed

create table prediction_data (
    "timestamp" timestamptz not null,
    crypto_symbol text not null,
    model_name text not null,
    predicted_price double precision not null,
    actual_price numeric,
    confidence_interval_low double precision,
    confidence_interval_high double precision,
    received_at timestamptz not null default now(),
    primary key ("timestamp", crypto_symbol, model_name),
    check (confidence_interval_low <= confidence_interval_high)
);
select make_hypertable('prediction_data', 'timestamp', '7 days');
create index prediction_data_read on prediction_data (crypto_symbol, "timestamp" desc);

create table analytics_data (
    "timestamp" timestamptz not null,
    exchange text not null,
    pair text not null,
    mean double precision not null,
    stddev double precision,
    min double precision not null,
    max double precision not null,
    volatility_percent double precision,
    observations bigint not null check (observations >= 1),
    received_at timestamptz not null default now(),
    primary key ("timestamp", exchange, pair)
);
select make_hypertable('analytics_data', 'timestamp', '7 days');
create index analytics_data_read on analytics_data (exchange, pair, "timestamp" desc);

create table anomaly_data (
    "timestamp" timestamptz not null,
    exchange text not null,
    pair text not null,
    kind text not null check (kind in ('zscore', 'divergence')),
    value double precision not null,
    expected double precision,
    score double precision,
    detail jsonb not null default '{}',
    received_at timestamptz not null default now(),
    primary key ("timestamp", exchange, pair, kind)
);
select make_hypertable('anomaly_data', 'timestamp', '30 days');
create index anomaly_data_read on anomaly_data (exchange, pair, "timestamp" desc);

-- Completeness and quality

create table candle_gaps (
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    gap_start timestamptz not null,
    gap_end timestamptz not null,
    missing bigint not null check (missing >= 1),
    label text check (label in ('no_trades', 'source_missing', 'lost_by_us')),
    status text not null default 'open' check (status in ('open', 'healing', 'healed', 'explained', 'failed')),
    attempts integer not null default 0 check (attempts >= 0),
    detected_at timestamptz not null default now(),
    healed_at timestamptz,
    detail jsonb not null default '{}',
    received_at timestamptz not null default now(),
    primary key (exchange, symbol, timeframe, gap_start),
    check (gap_end > gap_start)
);
create index candle_gaps_status on candle_gaps (status, detected_at);

create table trade_gaps (
    exchange text not null,
    pair text not null,
    first_missing_id bigint not null check (first_missing_id >= 0),
    last_missing_id bigint,
    label text check (label in ('no_trades', 'source_missing', 'lost_by_us')),
    status text not null default 'open' check (status in ('open', 'healing', 'healed', 'explained', 'failed')),
    attempts integer not null default 0 check (attempts >= 0),
    detected_at timestamptz not null default now(),
    healed_at timestamptz,
    detail jsonb not null default '{}',
    received_at timestamptz not null default now(),
    primary key (exchange, pair, first_missing_id),
    check (last_missing_id >= first_missing_id)
);
create index trade_gaps_status on trade_gaps (status, detected_at);

create table backfill_progress (
    exchange text not null,
    symbol text not null,
    timeframe text not null check (timeframe in ('1m', '5m', '15m', '1h', '1d')),
    status text not null default 'pending'
        check (status in ('pending', 'in_progress', 'completed', 'failed')),
    start_ts timestamptz not null,
    end_ts timestamptz not null,
    current_position_ts timestamptz,
    total_candles bigint not null default 0,
    processed_candles bigint not null default 0,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    received_at timestamptz not null default now(),
    primary key (exchange, symbol, timeframe),
    check (end_ts >= start_ts)
);

create table quarantine (
    id bigint generated always as identity primary key,
    subject text not null,
    reason text not null,
    expectation text,
    payload jsonb not null,
    origin jsonb not null default '{}',
    created_at timestamptz not null default now(),
    released_at timestamptz
);
create index quarantine_open on quarantine (subject, created_at) where released_at is null;

create table quality_results (
    run text not null,
    asset text not null,
    suite text not null,
    expectation text not null,
    severity text not null check (severity in ('critical', 'warning', 'info')),
    success boolean not null,
    observed jsonb,
    unexpected_count bigint check (unexpected_count >= 0),
    evaluated_at timestamptz not null default now(),
    primary key (run, asset, expectation)
);
create index quality_results_read on quality_results (asset, evaluated_at desc);

-- Supervision

create table stream_control (
    name text primary key,
    desired text not null default 'running' check (desired in ('running', 'stopped')),
    generation bigint not null default 0,
    updated_at timestamptz not null default now()
);

create table stream_status (
    name text primary key,
    state text not null default 'stopped',
    pid integer,
    host text,
    epoch bigint not null default 0,
    started_at timestamptz,
    heartbeat timestamptz,
    lag bigint,
    rows_total bigint not null default 0,
    batch_rows bigint,
    batch_ms double precision,
    detail jsonb not null default '{}',
    last_error text
);

create table sink_fence (
    query_id text not null,
    part integer not null,
    batch bigint not null,
    epoch bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (query_id, part)
);

create table action_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null default session_user,
    action text not null,
    subject text not null,
    detail jsonb not null default '{}'
);
create index action_log_read on action_log (subject, at desc);

-- What to collect and how to show it, editable through the API

create table crypto_configuration (
    id bigint generated always as identity primary key,
    exchange text not null,
    pair text not null,
    crypto_symbol text not null generated always as (split_part(pair, '/', 1)) stored,
    enabled boolean not null default true,
    history_days integer check (history_days > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (exchange, pair)
);

create table visualization_parameter (
    id bigint generated always as identity primary key,
    name text not null unique,
    value jsonb not null,
    description text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- Tiers: what is older than hot_age moves to cold_storage, what is older than both ages leaves the database

create table tiering_policy (
    subject text not null check (subject in ('candles', 'indicators', 'news')),
    timeframe text not null default '',
    hot_age interval,
    cold_age interval,
    primary key (subject, timeframe)
);
insert into tiering_policy (subject, timeframe, hot_age, cold_age)
select subject, timeframe, hot_age::interval, cold_age::interval
from (values ('1m', '7 days', '30 days'), ('5m', '14 days', '90 days'), ('15m', '30 days', '180 days'),
             ('1h', '90 days', '730 days'), ('1d', null, null)) ages (timeframe, hot_age, cold_age),
     (values ('candles'), ('indicators')) subjects (subject)
union all
values ('news', '', interval '30 days', interval '150 days');

create table cold_storage.candles (like candles including defaults including constraints);
alter table cold_storage.candles add primary key (window_start, exchange, symbol, timeframe);
select make_hypertable('cold_storage.candles', 'window_start', '30 days');
create index candles_read on cold_storage.candles (exchange, symbol, timeframe, window_start desc);
select make_columnar('cold_storage.candles', 'window_start', 'exchange, symbol, timeframe');

create table cold_storage.indicators (like indicators including defaults including constraints);
alter table cold_storage.indicators add primary key (window_start, exchange, symbol, timeframe);
select make_hypertable('cold_storage.indicators', 'window_start', '30 days');
create index indicators_read on cold_storage.indicators (exchange, symbol, timeframe, window_start desc);
select make_columnar('cold_storage.indicators', 'window_start', 'exchange, symbol, timeframe');

create table cold_storage.article_data (like article_data including defaults including constraints);
alter table cold_storage.article_data add primary key ("timestamp", website, article_id);
select make_hypertable('cold_storage.article_data', 'timestamp', '30 days');
select make_columnar('cold_storage.article_data', 'timestamp', 'website');
