-- How many candles of a series wait to be judged, the number of the newest, and the range that they are of.
-- Parameters: exchange, symbol, timeframe, origin.
SELECT count(*), max(number), min(window_start), max(window_end)
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
