-- Closed 5m, 15m and 1h candles of the last two hours that differ from the 1m candles they consist of, per series.
SELECT whole.exchange, whole.symbol AS pair, whole.timeframe, count(*) AS candles,
       count(*) FILTER (WHERE differs.it) AS differing, min(whole.window_start) FILTER (WHERE differs.it) AS example
FROM candles AS whole
CROSS JOIN LATERAL (
    SELECT coalesce(first(open, window_start) FILTER (WHERE has_trades), first(open, window_start)) AS open,
           coalesce(max(high) FILTER (WHERE has_trades), max(high)) AS high,
           coalesce(min(low) FILTER (WHERE has_trades), min(low)) AS low,
           coalesce(last(close, window_start) FILTER (WHERE has_trades), last(close, window_start)) AS close,
           sum(volume) AS volume, summed_trades(sum(trade_count), bool_or(volume > 0 AND trade_count = 0)) AS trade_count
    FROM (
        SELECT part.*, traded(volume, trade_count) AS has_trades FROM candles AS part
        WHERE part.exchange = whole.exchange AND part.symbol = whole.symbol AND part.timeframe = '1m'
          AND part.window_start >= whole.window_start AND part.window_start < whole.window_end
          AND part.window_start > now() - interval '3 hours'
    ) AS minutes
) AS parts
CROSS JOIN LATERAL (
    SELECT (whole.open, whole.high, whole.low, whole.close, whole.volume, whole.trade_count) IS DISTINCT FROM
           (parts.open, parts.high, parts.low, parts.close, parts.volume, parts.trade_count) AS it
) AS differs
WHERE whole.timeframe IN ('5m', '15m', '1h') AND whole.source = 'stream' AND whole.closed
  AND whole.window_start > now() - interval '2 hours'
GROUP BY whole.exchange, whole.symbol, whole.timeframe
ORDER BY whole.exchange, whole.symbol, whole.timeframe
