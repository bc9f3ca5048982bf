-- Which of these candles were made of streamed trades. Parameters: exchange, symbol, timeframe, starts, since, until.
SELECT window_start
FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
  AND window_start = ANY(%(starts)s::timestamptz[]) AND window_start >= %(since)s AND window_start <= %(until)s
  AND source = 'stream'
