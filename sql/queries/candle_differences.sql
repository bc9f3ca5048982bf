-- Why fetched candles differ from what their trades came to.

-- name: candle_differences_explain
-- Writes down the causes of differences.
-- Parameters: now; window_start, exchange, symbol, timeframe, cause, detail (arrays of one length).
UPDATE candle_differences
SET cause = found.cause, detail = found.detail, explained_at = %(now)s
FROM unnest(
    %(window_start)s::timestamptz[], %(exchange)s::text[], %(symbol)s::text[], %(timeframe)s::text[],
    %(cause)s::text[], %(detail)s::jsonb[]
) AS found (window_start, exchange, symbol, timeframe, cause, detail)
WHERE candle_differences.window_start = found.window_start AND candle_differences.exchange = found.exchange
  AND candle_differences.symbol = found.symbol AND candle_differences.timeframe = found.timeframe

-- name: candle_differences_facts
-- What is known of the differences that have no cause yet: the trades behind them, the ids missing there, the minutes of
-- a longer candle, the exchange's own live candle, the smallest steps. Parameters: found_before, limit.
SELECT differing.*, differing.window_start + timeframe_length(differing.timeframe) AS window_end,
       traded.open AS trades_open, traded.high AS trades_high, traded.low AS trades_low, traded.close AS trades_close,
       traded.volume AS trades_volume, traded.trade_count AS trades_trade_count,
       minutes.open AS minutes_open, minutes.high AS minutes_high, minutes.low AS minutes_low,
       minutes.close AS minutes_close, minutes.volume AS minutes_volume, minutes.trade_count AS minutes_trade_count,
       minutes.fetched AS minutes_fetched, coalesce(lost.ids, 0)::bigint AS missing,
       NOT EXISTS (
           SELECT FROM trade_data
           WHERE trade_data.exchange = differing.exchange AND pair = differing.symbol
             AND "timestamp" < differing.window_start
       ) AS begins,
       live.open AS live_open, live.high AS live_high, live.low AS live_low, live.close AS live_close,
       live.volume AS live_volume, live.trade_count AS live_trade_count,
       instruments.price_increment, instruments.volume_increment
FROM (
    SELECT * FROM candle_differences WHERE cause IS NULL AND found_at <= %(found_before)s
    ORDER BY found_at, window_start LIMIT %(limit)s
) AS differing
CROSS JOIN LATERAL (
    SELECT (array_agg(price ORDER BY "timestamp", trade_id))[1] AS open, max(price) AS high, min(price) AS low,
           (array_agg(price ORDER BY "timestamp" DESC, trade_id DESC))[1] AS close, sum(volume) AS volume,
           count(*) AS trade_count
    FROM trade_data
    WHERE trade_data.exchange = differing.exchange AND pair = differing.symbol
      AND "timestamp" >= differing.window_start
      AND "timestamp" < differing.window_start + timeframe_length(differing.timeframe)
) AS traded
LEFT JOIN LATERAL (
    SELECT coalesce((array_agg(open ORDER BY window_start) FILTER (WHERE has_trades))[1],
                    (array_agg(open ORDER BY window_start))[1]) AS open,
           coalesce(max(high) FILTER (WHERE has_trades), max(high)) AS high,
           coalesce(min(low) FILTER (WHERE has_trades), min(low)) AS low,
           coalesce((array_agg(close ORDER BY window_start DESC) FILTER (WHERE has_trades))[1],
                    (array_agg(close ORDER BY window_start DESC))[1]) AS close,
           sum(volume) AS volume, summed_trades(sum(trade_count), bool_or(volume > 0 AND trade_count = 0)) AS trade_count,
           bool_and(source = 'rest') AS fetched
    FROM (
        SELECT all_candles.*, traded(volume, trade_count) AS has_trades FROM all_candles
        WHERE all_candles.exchange = differing.exchange AND all_candles.symbol = differing.symbol
          AND all_candles.timeframe = '1m' AND all_candles.window_start >= differing.window_start
          AND all_candles.window_start < differing.window_start + timeframe_length(differing.timeframe)
    ) AS parts
    HAVING bool_and(closed)
) AS minutes ON differing.timeframe <> '1m'
    AND is_known(differing.exchange, differing.symbol, differing.timeframe, differing.window_start)
CROSS JOIN LATERAL (
    SELECT sum(hole.last_missing_id - hole.first_missing_id + 1 - known.ids) AS ids
    FROM find_trade_gaps(
        differing.exchange, differing.symbol, differing.window_start,
        differing.window_start + timeframe_length(differing.timeframe)
    ) AS hole
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(
                   least(trade_gaps.last_missing_id, hole.last_missing_id)
                   - greatest(trade_gaps.first_missing_id, hole.first_missing_id) + 1), 0) AS ids
        FROM trade_gaps
        WHERE trade_gaps.exchange = differing.exchange AND trade_gaps.pair = differing.symbol AND status = 'explained'
          AND trade_gaps.first_missing_id <= hole.last_missing_id
          AND trade_gaps.last_missing_id >= hole.first_missing_id
    ) AS known
) AS lost
LEFT JOIN exchange_candles AS live
    ON live.exchange = differing.exchange AND live.symbol = differing.symbol AND live.timeframe = differing.timeframe
   AND live.window_start = differing.window_start AND live.closed
LEFT JOIN instruments ON instruments.exchange = differing.exchange AND instruments.pair = differing.symbol
ORDER BY differing.found_at, differing.window_start

-- name: candle_differences_find
-- Compares the fetched minutes of a range with what their stored trades come to, and keeps what differs and was not known
-- to: such minutes were fetched before their trades arrived. Parameters: exchange, pairs, since, until.
WITH traded AS (
    SELECT exchange, pair, date_trunc('minute', "timestamp") AS minute,
           (array_agg(price ORDER BY "timestamp", trade_id))[1] AS open, max(price) AS high, min(price) AS low,
           (array_agg(price ORDER BY "timestamp" DESC, trade_id DESC))[1] AS close,
           sum(volume) AS volume, count(*) AS trade_count
    FROM trade_data
    WHERE exchange = %(exchange)s AND pair = ANY(%(pairs)s)
      AND "timestamp" >= date_trunc('minute', %(since)s::timestamptz)
      AND "timestamp" < date_trunc('minute', %(until)s::timestamptz)
    GROUP BY 1, 2, 3
)
INSERT INTO candle_differences (
    window_start, exchange, symbol, timeframe, stream_open, stream_high, stream_low, stream_close, stream_volume,
    stream_trade_count, rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count
)
SELECT traded.minute, traded.exchange, traded.pair, '1m', traded.open, traded.high, traded.low, traded.close,
       traded.volume, traded.trade_count, fetched.open, fetched.high, fetched.low, fetched.close, fetched.volume,
       fetched.trade_count
FROM traded
JOIN candles AS fetched
    ON fetched.exchange = traded.exchange AND fetched.symbol = traded.pair AND fetched.timeframe = '1m'
   AND fetched.window_start = traded.minute AND fetched.source = 'rest'
   AND fetched.window_start >= date_trunc('minute', %(since)s::timestamptz)
   AND fetched.window_start < date_trunc('minute', %(until)s::timestamptz)
WHERE (traded.open, traded.high, traded.low, traded.close, traded.volume)
      IS DISTINCT FROM (fetched.open, fetched.high, fetched.low, fetched.close, fetched.volume)
   OR (traded.trade_count <> fetched.trade_count AND fetched.trade_count > 0)
ON CONFLICT (window_start, exchange, symbol, timeframe) DO NOTHING
RETURNING window_start
