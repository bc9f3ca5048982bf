-- The newest candles of each series that were made from trades, those of the last two days.
-- Parameters: exchanges, pairs (arrays of one length), most (of a pair).
SELECT newest.*
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS series (exchange, pair)
CROSS JOIN unnest(ARRAY['1m', '5m', '15m', '1h', '1d']) AS timeframes (timeframe)
CROSS JOIN LATERAL (
    SELECT window_start AS "timestamp", window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
           volume, trade_count, source, received_at
    FROM candles
    WHERE exchange = series.exchange
        AND symbol = series.pair
        AND candles.timeframe = timeframes.timeframe
        AND window_start > now() - interval '2 days'
        AND source = 'stream'
    ORDER BY window_start DESC
    LIMIT %(most)s / 5
) AS newest
