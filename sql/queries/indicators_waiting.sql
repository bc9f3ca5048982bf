-- How many series have candles whose indicators are still to be computed.
SELECT count(*) FROM (SELECT DISTINCT exchange, symbol, timeframe FROM indicator_changes) AS series
