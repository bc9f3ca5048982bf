-- How far the configured history has been fetched: one row for each exchange and timeframe. Counts are candles of the
-- series that were begun.
SELECT exchange, timeframe, count(*) AS series,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       sum(total_candles)::bigint AS total,
       sum(processed_candles)::bigint AS processed,
       min(created_at) AS began, max(updated_at) AS updated
FROM backfill_progress
GROUP BY exchange, timeframe
ORDER BY exchange, timeframe_length(timeframe)
