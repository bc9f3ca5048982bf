-- How many candles of a series wait to be judged, the number of the newest, how many passed and wait to be published,
-- and the range of both.
-- Parameters: exchange, symbol, timeframe, origin.
SELECT count(*) FILTER (WHERE passed_at IS NULL), max(number) FILTER (WHERE passed_at IS NULL), count(passed_at),
       min(window_start), max(window_end)
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
