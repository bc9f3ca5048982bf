-- What is missing though the exchange has it, per exchange and pair, and since when it is known.
SELECT 'candles' AS kind, exchange, symbol AS pair, timeframe, sum(missing)::bigint AS missing,
       min(detected_at) AS known_since
FROM candle_gaps
WHERE label = 'lost_by_us' AND status IN ('open', 'healing', 'failed')
GROUP BY exchange, symbol, timeframe
UNION ALL
SELECT 'trades', exchange, pair, NULL, sum(coalesce(last_missing_id - first_missing_id + 1, 1))::bigint,
       min(detected_at)
FROM trade_gaps
WHERE label = 'lost_by_us' AND status IN ('open', 'healing', 'failed')
GROUP BY exchange, pair
ORDER BY known_since
