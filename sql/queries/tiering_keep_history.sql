-- No candle or indicator of the configured history leaves the database. Returns the policies that changed.
-- Parameters: timeframe, history_age (arrays; an age that is empty: none).
UPDATE tiering_policy AS policy SET history_age = given.history_age
FROM unnest(%(timeframe)s::text[], %(history_age)s::interval[]) AS given (timeframe, history_age)
WHERE policy.subject IN ('candles', 'indicators') AND policy.timeframe = given.timeframe
  AND policy.history_age IS DISTINCT FROM given.history_age
RETURNING policy.subject, policy.timeframe, policy.history_age
