-- Computes the whole history of a series anew; the number of rows that differed.
-- Parameters: exchange, symbol, timeframe.
SELECT rebuild_indicators(%(exchange)s, %(symbol)s, %(timeframe)s)
