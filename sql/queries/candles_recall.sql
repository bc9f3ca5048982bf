-- Brings old candles back that some of one series are to be written beside; how many. The stream does not wait.
-- Parameters: exchange, symbol, timeframe; starts (array).
SELECT lock_batch(), recall_fetched(%(exchange)s, %(symbol)s, %(timeframe)s, %(starts)s::timestamptz[])
