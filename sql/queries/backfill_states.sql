-- What is known of the history of series: how far its backfill got, when the pair was listed, and for how many days the
-- pair's own configuration wants minutes. Parameters: exchange, symbol, timeframe (arrays of one length).
SELECT asked.exchange, asked.symbol, asked.timeframe, progress.status, start_ts, end_ts, current_position_ts, published_ts,
       covered_from, coalesce(from_first, false) AS from_first, coalesce(attempts, 0) AS attempts, due_at,
       lower(listed) AS listed_from, upper(listed) AS listed_to, history_days
FROM unnest(%(exchange)s::text[], %(symbol)s::text[], %(timeframe)s::text[]) WITH ORDINALITY
    asked (exchange, symbol, timeframe, place)
LEFT JOIN backfill_progress AS progress
    ON progress.exchange = asked.exchange AND progress.symbol = asked.symbol AND progress.timeframe = asked.timeframe
LEFT JOIN instruments ON instruments.exchange = asked.exchange AND instruments.pair = asked.symbol
LEFT JOIN crypto_configuration AS chosen ON chosen.exchange = asked.exchange AND chosen.pair = asked.symbol
ORDER BY place
