-- The newest candle that a run of the same range left behind when it was killed; what runs of other ranges left goes, and
-- what is so old that it may have been corrected since. Parameters: exchange, symbol, timeframe, origin, origins (a
-- pattern of all ranges), since (staged before that is old).
WITH gone AS (
    DELETE FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin LIKE %(origins)s
      AND (origin <> %(origin)s OR staged_at < %(since)s)
)
SELECT max(window_start)
FROM staged_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
  AND staged_at >= %(since)s
