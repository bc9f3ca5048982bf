-- Candles of the last day that cannot be: prices outside low and high, a negative volume, a window of the wrong length.
-- Parameter: relation (candles or exchange_candles).
SELECT exchange, symbol AS pair, count(*) AS candles,
       count(*) FILTER (WHERE impossible) AS impossible, min(window_start) FILTER (WHERE impossible) AS example
FROM (
    SELECT relation, exchange, symbol, window_start,
           low <= 0 OR low > least(open, close) OR high < greatest(open, close) OR volume < 0 OR trade_count < 0
               OR window_end - window_start <> timeframe_length(timeframe)
               OR date_bin(timeframe_length(timeframe), window_start, 'epoch') <> window_start AS impossible
    FROM (
        SELECT 'candles' AS relation, candles.* FROM candles
        UNION ALL
        SELECT 'exchange_candles', exchange_candles.* FROM exchange_candles
    ) AS both_tables
    WHERE relation = %(relation)s AND window_start > now() - interval '1 day'
) AS judged
GROUP BY exchange, symbol
ORDER BY exchange, symbol
