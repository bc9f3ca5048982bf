-- Why candles that were fetched in the last day differ from what their trades came to, per exchange.
SELECT exchange, coalesce(cause, 'not yet looked into') AS cause, count(*) AS differences,
       max(window_start) AS newest
FROM candle_differences
WHERE found_at > now() - interval '1 day'
  AND (cause IS NOT NULL OR found_at < now() - interval '1 hour')
GROUP BY exchange, cause
ORDER BY exchange, differences DESC
