-- Forgets what is missing in a range and was never asked for. Parameters: exchange, symbol, timeframe, since, until.
SELECT forget_candle_gaps(%(exchange)s, %(symbol)s, %(timeframe)s, %(since)s, %(until)s)
