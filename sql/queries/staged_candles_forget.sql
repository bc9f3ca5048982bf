-- Candles that nobody will judge any more. Parameters: exchange, symbol, timeframe, origin.
DELETE FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND passed_at IS NULL
