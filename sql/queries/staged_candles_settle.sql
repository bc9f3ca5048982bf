-- Of the staged candles that were judged those that are held back leave, and the others have passed.
-- Parameters: exchange, symbol, timeframe, origin, last; held (numbers).
WITH gone AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NULL AND number = ANY(%(held)s::bigint[])
)
UPDATE staged_candles
SET passed_at = clock_timestamp()
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND passed_at IS NULL AND number <= %(last)s AND number <> ALL(%(held)s::bigint[])
