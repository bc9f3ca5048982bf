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
