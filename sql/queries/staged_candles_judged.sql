-- Staged candles with the columns that their suite judges (great_expectations/README.md says what they mean); numbers
-- that are none count as missing. Parameters, bound by the client: exchange, symbol, timeframe, origin, last (number of
-- the newest row).
CREATE TEMPORARY TABLE judged_candles AS
SELECT number, window_start, low, high, volume, trade_count,
       least(open, close) AS body_low,
       greatest(open, close) AS body_high,
       num_nulls(window_start, open, high, low, close, volume, trade_count) AS lacking,
       (high / nullif(low, 0))::double precision AS range_ratio,
       (open / nullif(lag(close) OVER (ORDER BY window_start, number), 0))::double precision AS jump,
       extract(epoch FROM window_end - window_start)::double precision AS length_s,
       extract(epoch FROM timeframe_length(timeframe))::double precision AS fitting_length_s,
       extract(epoch FROM window_start - date_bin(timeframe_length(timeframe), window_start, 'epoch'))::double precision
           AS off_grid_s,
       extract(epoch FROM window_end - staged_at)::double precision AS ahead_s,
       volume <> 0 AS traded,
       CASE WHEN max(trade_count) OVER () > 0 THEN trade_count <> 0 END AS has_trades
FROM (
    SELECT number, timeframe, window_start, window_end, trade_count, staged_at,
           nullif(nullif(nullif(open, 'NaN'), 'Infinity'), '-Infinity') AS open,
           nullif(nullif(nullif(high, 'NaN'), 'Infinity'), '-Infinity') AS high,
           nullif(nullif(nullif(low, 'NaN'), 'Infinity'), '-Infinity') AS low,
           nullif(nullif(nullif(close, 'NaN'), 'Infinity'), '-Infinity') AS close,
           nullif(nullif(nullif(volume, 'NaN'), 'Infinity'), '-Infinity') AS volume
    FROM staged_candles
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND origin = %(origin)s
      AND passed_at IS NULL AND number <= %(last)s
) staged
