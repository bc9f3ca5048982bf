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
