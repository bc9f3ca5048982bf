-- Where the price stood at the end of a candle. Parameters: exchange, symbol, timeframe, at.
SELECT close::text FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND window_start = %(at)s
