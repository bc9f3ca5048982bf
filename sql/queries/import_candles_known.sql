-- The fetched candles that a series has already. Parameters: exchange, symbol, timeframe, since, until.
SELECT window_start, open, high, low, close, volume, trade_count
FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND source = 'rest'
  AND window_start >= %(since)s AND window_start <= %(until)s
