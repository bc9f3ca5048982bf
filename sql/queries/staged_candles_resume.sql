-- The newest candle that a run of the same range left behind when it was killed. What any run left so long ago that it may
-- have been corrected since goes. Parameters: exchange, symbol, timeframe, origin, origins (a pattern of all ranges), since
-- (what was staged before that is old).
WITH old AS (
    SELECT origin
    FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin LIKE %(origins)s
    GROUP BY origin
    HAVING min(staged_at) < %(since)s
), gone AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s
      AND origin IN (SELECT origin FROM old) AND passed_at IS NULL
)
SELECT max(window_start)
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND origin NOT IN (SELECT origin FROM old)
