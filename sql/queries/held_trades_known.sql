-- Which of some minutes have a closed candle. Parameters: exchange, symbol, since, until.
SELECT window_start FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = '1m' AND closed
  AND window_start >= %(since)s AND window_start <= %(until)s
