-- Brings old candles back that the next staged ones are to be written beside; how many. The stream does not wait.
-- Parameters: exchange, symbol, timeframe, origin; rows.
SELECT lock_batch(), recall_fetched(%(exchange)s, %(symbol)s, %(timeframe)s, array_agg(window_start))
FROM (
    SELECT window_start FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NOT NULL
    ORDER BY number
    LIMIT %(rows)s
) AS following
