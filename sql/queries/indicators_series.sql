-- Every series that has indicators, or candles noted for them.
SELECT exchange, symbol, timeframe FROM indicator_states
UNION
SELECT exchange, symbol, timeframe FROM indicator_changes
ORDER BY 1, 2, 3
