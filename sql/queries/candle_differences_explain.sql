-- Writes down the causes of differences.
-- Parameters: now; window_start, exchange, symbol, timeframe, cause, detail (arrays of one length).
UPDATE candle_differences
SET cause = found.cause, detail = found.detail, explained_at = %(now)s
FROM unnest(
    %(window_start)s::timestamptz[], %(exchange)s::text[], %(symbol)s::text[], %(timeframe)s::text[],
    %(cause)s::text[], %(detail)s::jsonb[]
) AS found (window_start, exchange, symbol, timeframe, cause, detail)
WHERE candle_differences.window_start = found.window_start AND candle_differences.exchange = found.exchange
  AND candle_differences.symbol = found.symbol AND candle_differences.timeframe = found.timeframe
