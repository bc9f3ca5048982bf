-- The checks of the tables that streams fill, and of the history.

-- name: check_candle_bounds
-- Candles of the last day that cannot be: prices outside low and high, a negative volume, a window of the wrong length.
-- Parameter: relation (candles or exchange_candles).
SELECT exchange, symbol AS pair, count(*) AS candles,
       count(*) FILTER (WHERE impossible) AS impossible, min(window_start) FILTER (WHERE impossible) AS example
FROM (
    SELECT relation, exchange, symbol, window_start,
           low <= 0 OR low > least(open, close) OR high < greatest(open, close) OR volume < 0 OR trade_count < 0
               OR window_end - window_start <> timeframe_length(timeframe)
               OR date_bin(timeframe_length(timeframe), window_start, 'epoch') <> window_start AS impossible
    FROM (
        SELECT 'candles' AS relation, candles.* FROM candles
        UNION ALL
        SELECT 'exchange_candles', exchange_candles.* FROM exchange_candles
    ) AS both_tables
    WHERE relation = %(relation)s AND window_start > now() - interval '1 day'
) AS checked
GROUP BY exchange, symbol
ORDER BY exchange, symbol

-- name: check_candle_differences
-- Why candles that were fetched in the last day differ from what their trades came to, per exchange.
SELECT exchange, coalesce(cause, 'not yet looked into') AS cause, count(*) AS differences,
       max(window_start) AS newest
FROM candle_differences
WHERE found_at > now() - interval '1 day'
  AND (cause IS NOT NULL OR found_at < now() - interval '1 hour')
GROUP BY exchange, cause
ORDER BY exchange, differences DESC

-- name: check_candle_parts
-- Closed 5m, 15m and 1h candles of the last two hours that differ from the 1m candles they consist of, per series.
SELECT whole.exchange, whole.symbol AS pair, whole.timeframe, count(*) AS candles,
       count(*) FILTER (WHERE differs.it) AS differing, min(whole.window_start) FILTER (WHERE differs.it) AS example
FROM candles AS whole
CROSS JOIN LATERAL (
    SELECT coalesce(first(open, window_start) FILTER (WHERE has_trades), first(open, window_start)) AS open,
           coalesce(max(high) FILTER (WHERE has_trades), max(high)) AS high,
           coalesce(min(low) FILTER (WHERE has_trades), min(low)) AS low,
           coalesce(last(close, window_start) FILTER (WHERE has_trades), last(close, window_start)) AS close,
           sum(volume) AS volume, summed_trades(sum(trade_count), bool_or(volume > 0 AND trade_count = 0)) AS trade_count
    FROM (
        SELECT part.*, traded(volume, trade_count) AS has_trades FROM candles AS part
        WHERE part.exchange = whole.exchange AND part.symbol = whole.symbol AND part.timeframe = '1m'
          AND part.window_start >= whole.window_start AND part.window_start < whole.window_end
          AND part.window_start > now() - interval '3 hours'
    ) AS minutes
) AS parts
CROSS JOIN LATERAL (
    SELECT (whole.open, whole.high, whole.low, whole.close, whole.volume, whole.trade_count) IS DISTINCT FROM
           (parts.open, parts.high, parts.low, parts.close, parts.volume, parts.trade_count) AS it
) AS differs
WHERE whole.timeframe IN ('5m', '15m', '1h') AND whole.source = 'stream' AND whole.closed
  AND whole.window_start > now() - interval '2 hours'
GROUP BY whole.exchange, whole.symbol, whole.timeframe
ORDER BY whole.exchange, whole.symbol, whole.timeframe

-- name: check_closed_candles
-- Whether each minute of the last hour that has trades has a 1m candle, closed if all its trades are stored, per pair. A
-- minute that ended less than a minute ago may still be open. A minute with trades behind it that lies beyond all that was
-- looked at counts, too: then nobody looks (where ids are not consecutive, nobody does).
SELECT traded.exchange, traded.pair, count(*) AS minutes, count(*) FILTER (WHERE candles.window_start IS NULL) AS missing,
       count(*) FILTER (WHERE NOT candles.closed AND known) AS unclosed,
       min(minute) FILTER (WHERE candles.window_start IS NULL OR NOT candles.closed AND known) AS example
FROM (
    SELECT exchange, pair, date_trunc('minute', "timestamp") AS minute,
           max(date_trunc('minute', "timestamp")) OVER (PARTITION BY exchange, pair) AS newest
    FROM trade_data
    WHERE "timestamp" >= date_trunc('minute', now()) - interval '1 hour'
      AND "timestamp" < date_trunc('minute', now()) - interval '1 minute'
    GROUP BY 1, 2, 3
) AS traded
LEFT JOIN candles
    ON candles.exchange = traded.exchange AND candles.symbol = traded.pair AND candles.timeframe = '1m'
   AND candles.window_start = traded.minute AND candles.window_start >= date_trunc('minute', now()) - interval '1 hour'
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM trade_coverage AS covered
        WHERE covered.exchange = traded.exchange AND covered.pair = traded.pair
          AND covered.since < minute AND covered.until >= minute + interval '1 minute'
    ) OR has_consecutive_ids(traded.exchange) AND minute > coalesce((
        SELECT max(until) FROM trade_coverage AS covered
        WHERE covered.exchange = traded.exchange AND covered.pair = traded.pair
    ), '-infinity') AND minute + interval '1 minute' < newest AS known
) AS rested
GROUP BY traded.exchange, traded.pair
ORDER BY traded.exchange, traded.pair

-- name: check_duplicate_trades
-- Trades of the last hour that are stored more than once under one id of a pair, whatever their timestamps: per pair.
SELECT exchange, pair, sum(copies)::bigint AS trades, sum(copies - 1)::bigint AS duplicates,
       min(trade_id) FILTER (WHERE copies > 1) AS example
FROM (
    SELECT exchange, pair, trade_id, count(*) AS copies
    FROM trade_data
    WHERE "timestamp" > now() - interval '1 hour'
    GROUP BY exchange, pair, trade_id
) AS ids
GROUP BY exchange, pair
ORDER BY exchange, pair

-- name: check_lost_candles
-- What is missing though the exchange has it, per exchange and pair, and since when it is known.
SELECT 'candles' AS kind, exchange, symbol AS pair, timeframe, sum(missing)::bigint AS missing,
       min(detected_at) AS known_since
FROM candle_gaps
WHERE label = 'lost_by_us' AND status IN ('open', 'healing', 'failed')
GROUP BY exchange, symbol, timeframe
UNION ALL
SELECT 'trades', exchange, pair, NULL, sum(coalesce(last_missing_id - first_missing_id + 1, 1))::bigint,
       min(detected_at)
FROM trade_gaps
WHERE label = 'lost_by_us' AND status IN ('open', 'healing', 'failed')
GROUP BY exchange, pair
ORDER BY known_since

-- name: check_open_gaps
-- Holes in the trade ids that are not closed, per exchange: how many, how many were given up for now, and since when.
SELECT exchange, count(*) AS open, count(*) FILTER (WHERE status = 'failed') AS failed,
       sum(last_missing_id - first_missing_id + 1)::bigint AS trades,
       extract(epoch FROM now() - min(detected_at))::float8 AS oldest
FROM trade_gaps
WHERE status IN ('open', 'healing', 'failed') AND NOT trade_gap_is_left(trade_gaps)
GROUP BY exchange
ORDER BY exchange

-- name: check_price_jumps
-- The largest step from one 1m close to the next within the last hour, in percent, per pair.
SELECT DISTINCT ON (exchange, pair) exchange, pair, window_start AS at, before, close, jump, candles
FROM (
    SELECT exchange, symbol AS pair, window_start, close, lag(close) OVER series AS before,
           (abs(close / lag(close) OVER series - 1) * 100)::float8 AS jump,
           count(*) OVER (PARTITION BY exchange, symbol) AS candles
    FROM candles
    WHERE timeframe = '1m' AND window_start > now() - interval '1 hour'
    WINDOW series AS (PARTITION BY exchange, symbol ORDER BY window_start)
) AS steps
ORDER BY exchange, pair, jump DESC NULLS LAST

-- name: check_stored_trades
-- Whether the trade ids of the last hour follow each other without a hole, per pair. Ids are counted over a minute more
-- than the range of ids is taken from: near its edges the order of ids is not that of timestamps.
WITH ends AS (
    SELECT exchange, pair, min(trade_id) AS first_id,
           max(trade_id) FILTER (WHERE "timestamp" < now() - interval '30 seconds') AS last_id,
           max(trade_id) AS newest_id, extract(epoch FROM now() - max("timestamp"))::float8 AS newest_age
    FROM trade_data
    WHERE "timestamp" > now() - interval '1 hour'
    GROUP BY exchange, pair
), stored AS (
    SELECT exchange, pair, first_id, last_id, newest_id, newest_age, count(DISTINCT trade_id) AS stored
    FROM ends
    JOIN trade_data USING (exchange, pair)
    WHERE "timestamp" > now() - interval '61 minutes' AND trade_id BETWEEN first_id AND last_id
    GROUP BY exchange, pair, first_id, last_id, newest_id, newest_age
)
SELECT exchange, pair, first_id, last_id, newest_id, newest_age, stored, last_id - first_id + 1 - stored AS missing,
       known.explained, known.healing
FROM stored
CROSS JOIN LATERAL (
    SELECT coalesce(sum(ids) FILTER (WHERE status = 'explained'), 0)::bigint AS explained,
           coalesce(sum(ids) FILTER (WHERE status IN ('open', 'healing', 'failed')), 0)::bigint AS healing
    FROM (
        SELECT status, least(coalesce(last_missing_id, last_id), last_id) - greatest(first_missing_id, first_id) + 1 AS ids
        FROM trade_gaps
        WHERE trade_gaps.exchange = stored.exchange AND trade_gaps.pair = stored.pair
          AND first_missing_id <= last_id AND coalesce(last_missing_id, last_id) >= first_id
    ) AS gaps
) AS known
ORDER BY exchange, pair

-- name: check_unexplained_gaps
-- Candles that are missing while nobody knows why, per exchange and timeframe, and since when. What is left to others
-- (a backfill, the collector) is not counted.
SELECT exchange, timeframe, count(*) AS gaps, sum(missing)::bigint AS missing,
       extract(epoch FROM now() - min(detected_at))::float8 AS oldest
FROM candle_gaps
WHERE label IS NULL AND status IN ('open', 'healing', 'failed') AND NOT gap_is_left(candle_gaps)
GROUP BY exchange, timeframe
ORDER BY oldest DESC

-- name: check_window_alerts
-- The newest alerts of each pair within the last day.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN LATERAL (
    SELECT "timestamp", received_at, exchange, pair, last_price, change_percent, threshold, alert_type
    FROM alert_data
    WHERE exchange = series.exchange AND pair = series.pair AND "timestamp" > now() - interval '1 day'
    ORDER BY "timestamp" DESC
    LIMIT %(most)s
) AS newest

-- name: check_window_candles
-- The newest candles of each series that were made from trades, those of the last two days.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN unnest(ARRAY['1m', '5m', '15m', '1h', '1d']) AS timeframes (timeframe)
CROSS JOIN LATERAL (
    SELECT window_start AS "timestamp", window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
           volume, trade_count, source, received_at
    FROM candles
    WHERE exchange = series.exchange
        AND symbol = series.pair
        AND candles.timeframe = timeframes.timeframe
        AND window_start > now() - interval '2 days'
        AND source = 'stream'
    ORDER BY window_start DESC
    LIMIT %(most)s / 5
) AS newest

-- name: check_window_tickers
-- The newest tickers of each pair within the last ten minutes.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN LATERAL (
    SELECT "timestamp", received_at, exchange, pair, last, bid, ask, volume_24h, pct_change
    FROM ticker_data
    WHERE exchange = series.exchange AND pair = series.pair AND "timestamp" > now() - interval '10 minutes'
    ORDER BY "timestamp" DESC
    LIMIT %(most)s
) AS newest

-- name: check_window_trades
-- The newest trades of each pair within the last ten minutes.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN LATERAL (
    SELECT "timestamp", received_at, exchange, pair, trade_id, price, volume, side
    FROM trade_data
    WHERE exchange = series.exchange AND pair = series.pair AND "timestamp" > now() - interval '10 minutes'
    ORDER BY "timestamp" DESC
    LIMIT %(most)s
) AS newest

-- name: candles_differing
-- 1m candles made of streamed trades that differ from what their trades come to now, or are lacking: how many minutes
-- were compared, and each that differs. One statement sees trades and candles as one transaction left them.
-- Parameters: exchange (empty: all), since, until.
WITH computed AS (
    SELECT exchange, pair, date_trunc('minute', "timestamp") AS minute,
           (array_agg(price ORDER BY "timestamp", trade_id))[1] AS open, max(price) AS high, min(price) AS low,
           (array_agg(price ORDER BY "timestamp" DESC, trade_id DESC))[1] AS close,
           sum(volume) AS volume, count(*) AS trade_count
    FROM trade_data
    WHERE (%(exchange)s::text IS NULL OR exchange = %(exchange)s)
      AND "timestamp" >= %(since)s AND "timestamp" < %(until)s
    GROUP BY 1, 2, 3
), compared AS (
    SELECT computed.exchange, computed.pair, computed.minute, stored.trade_count AS stored_trades,
           computed.trade_count AS trades, stored.close AS stored_close, computed.close,
           (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count) IS DISTINCT FROM
           (computed.open, computed.high, computed.low, computed.close, computed.volume, computed.trade_count)
               AS differs
    FROM computed
    LEFT JOIN candles AS stored
        ON stored.exchange = computed.exchange AND stored.symbol = computed.pair AND stored.timeframe = '1m'
       AND stored.window_start = computed.minute
       AND stored.window_start >= %(since)s AND stored.window_start < %(until)s
    WHERE stored.source IS DISTINCT FROM 'rest'
)
SELECT totals.compared, totals.trades AS all_trades, differing.exchange, differing.pair, differing.minute,
       differing.stored_trades, differing.trades, differing.stored_close, differing.close
FROM (SELECT count(*) AS compared, coalesce(sum(trades), 0)::bigint AS trades FROM compared) AS totals
LEFT JOIN (SELECT * FROM compared WHERE differs) AS differing ON true
ORDER BY differing.exchange, differing.pair, differing.minute
