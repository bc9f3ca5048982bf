-- The batches of candles that passed some time ago and wait to be published: whoever was at it was killed.
-- Parameter: before (when they passed at the latest).
SELECT exchange, symbol, timeframe, origin
FROM staged_candles
WHERE passed_at IS NOT NULL
GROUP BY exchange, symbol, timeframe, origin
HAVING max(passed_at) < %(before)s
