-- Stored candles: kept, recalled, settled, fetched.

-- name: candle_days
-- The days of a range on which a pair has candles shorter than a day, hot or cold. Parameters: exchange, pair, since,
-- until.
SELECT midnight
FROM generate_series(
    date_bin(interval '24 hours', %(since)s::timestamptz, 'epoch'), %(until)s::timestamptz - interval '1 microsecond',
    interval '24 hours') AS midnight
WHERE EXISTS (
    SELECT FROM candles
    WHERE exchange = %(exchange)s AND symbol = %(pair)s AND timeframe IN ('1m', '5m', '15m', '1h')
      AND window_start >= midnight AND window_start < midnight + interval '24 hours'
) OR EXISTS (
    SELECT FROM cold_storage.candles
    WHERE exchange = %(exchange)s AND symbol = %(pair)s AND timeframe IN ('1m', '5m', '15m', '1h')
      AND window_start >= midnight AND window_start < midnight + interval '24 hours'
)
ORDER BY midnight

-- name: candle_days_open
-- The days with candles whose window has ended and that are not closed, hot or cold, by pair; and those with hours of which
-- no day was made, because whoever stored them was killed.
SELECT exchange, symbol, date_bin(interval '24 hours', window_start, 'epoch')
FROM all_candles
WHERE NOT closed AND source = 'stream' AND window_end <= now()
UNION
SELECT hours.exchange, hours.symbol, hours.day
FROM (
    SELECT DISTINCT exchange, symbol, date_bin(interval '24 hours', window_start, 'epoch') AS day
    FROM all_candles
    WHERE timeframe = '1h'
) AS hours
WHERE hours.day + interval '24 hours' <= now() AND NOT EXISTS (
    SELECT FROM all_candles AS made
    WHERE made.exchange = hours.exchange AND made.symbol = hours.symbol AND made.timeframe = '1d'
      AND made.window_start = hours.day
)
ORDER BY 1, 2, 3

-- name: candles_kept
-- Candles of an exchange over a range by timeframe and source. Parameters: exchange, since, until.
SELECT timeframe, source, count(*)
FROM candles
WHERE exchange = %(exchange)s AND window_start >= %(since)s AND window_start < %(until)s
GROUP BY timeframe, source
ORDER BY timeframe, source

-- name: candles_recall
-- Brings old candles back that some of one series are to be written beside; how many. The stream does not wait.
-- Parameters: exchange, symbol, timeframe; starts (array).
SELECT lock_batch(), recall_fetched(%(exchange)s, %(symbol)s, %(timeframe)s, %(starts)s::timestamptz[])

-- name: candles_settle
-- Looks over the candles of one timeframe of a pair in a range: how many changed.
-- Parameters: exchange, pair, timeframe, since, until, reopen.
SELECT corrected, closed, reopened, made, differing
FROM settle_candles(%(exchange)s, %(pair)s, %(timeframe)s, %(since)s, %(until)s, %(reopen)s)

-- name: candles_store_fetched
-- Stores closed candles as an exchange gave them: how many rows changed, by timeframe.
-- Parameters: exchange, symbol, timeframe; starts, opens, highs, lows, closes, volumes, trade_counts (arrays).
SELECT timeframe, count(*)
FROM store_fetched_candles(
    %(exchange)s, %(symbol)s, %(timeframe)s, %(starts)s::timestamptz[], %(opens)s::numeric[], %(highs)s::numeric[],
    %(lows)s::numeric[], %(closes)s::numeric[], %(volumes)s::numeric[], %(trade_counts)s::bigint[]
)
GROUP BY timeframe

-- name: candles_streamed
-- Which of these candles were made of streamed trades. Parameters: exchange, symbol, timeframe, starts, since, until.
SELECT window_start
FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
  AND window_start = ANY(%(starts)s::timestamptz[]) AND window_start >= %(since)s AND window_start <= %(until)s
  AND source = 'stream'

-- name: candles_to_settle
-- The windows of one timeframe of a pair in a range that candles_settle would do something about; takes no lock.
-- Parameters: exchange, pair, timeframe, since, until, reopen.
SELECT DISTINCT bucket
FROM candle_corrections(%(exchange)s, %(pair)s, %(timeframe)s, %(since)s, %(until)s, %(reopen)s)
ORDER BY bucket

-- name: candles_without_trades
-- Minutes that have a candle made of trades and not one of these trades any more, by pair: how many, and the first.
-- Parameters: exchange, pairs, since, until.
SELECT symbol, count(*), min(window_start)
FROM candles
WHERE exchange = %(exchange)s AND symbol = ANY(%(pairs)s) AND timeframe = '1m' AND source = 'stream'
  AND window_start >= %(since)s AND window_start < %(until)s
  AND NOT EXISTS (
      SELECT FROM trade_data
      WHERE trade_data.exchange = candles.exchange AND pair = candles.symbol
        AND timestamp >= candles.window_start AND timestamp < candles.window_start + interval '1 minute'
        AND timestamp >= %(since)s AND timestamp < %(until)s + interval '1 minute'
  )
GROUP BY symbol
ORDER BY symbol

-- name: trades_store_fetched
-- Stores trades as an exchange gave them: the earliest new one of each minute.
-- Parameters: exchange, pair; timestamps, trade_ids, prices, volumes, sides (arrays).
WITH stored AS (
    INSERT INTO trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
    SELECT timestamp, %(exchange)s, %(pair)s, trade_id, price, volume, side
    FROM unnest(
        %(timestamps)s::timestamptz[], %(trade_ids)s::bigint[], %(prices)s::numeric[], %(volumes)s::numeric[],
        %(sides)s::text[]
    ) AS given (timestamp, trade_id, price, volume, side)
    ON CONFLICT DO NOTHING
    RETURNING timestamp
)
SELECT min(timestamp) FROM stored GROUP BY date_trunc('minute', timestamp)

-- name: oldest_trade
-- When the oldest stored trade of an exchange happened. Parameter: exchange.
SELECT "timestamp" FROM trade_data WHERE exchange = %(exchange)s ORDER BY "timestamp" LIMIT 1

-- name: trade_coverage_settle
-- Looks at the ids of an hour of a pair's trades (or the files they came of), or of so many trades where there are more: where to go on.
-- Parameters: exchange, pair, since, until, trades.
SELECT settle_coverage(%(exchange)s, %(pair)s, %(since)s, %(until)s, %(trades)s)
