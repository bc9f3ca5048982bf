-- The pairs whose stored candles are to be looked over, and from where on.
SELECT exchange, symbol, position, until
FROM candle_repairs
WHERE finished_at IS NULL
ORDER BY exchange, symbol
