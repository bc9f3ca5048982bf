-- Keeps the staged trades of minutes of which some rows are in quarantine, and says which rows those are. Minutes that
-- have a fetched candle are known already. Parameters: exchange, symbol, fingerprint, counted (whether the number of
-- trades is known); minutes, quiet_until (arrays of one length); rows, of_minutes (of what is in quarantine, likewise).
WITH undecided AS (
    SELECT minute, quiet_until
    FROM unnest(%(minutes)s::timestamptz[], %(quiet_until)s::timestamptz[]) AS given (minute, quiet_until)
    WHERE NOT EXISTS (
        SELECT FROM all_candles
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = '1m' AND source = 'rest'
          AND window_start = given.minute)
)
INSERT INTO held_trades (minute, exchange, symbol, fingerprint, row_number, held, price, volume, trade_count, quiet_until)
SELECT undecided.minute, %(exchange)s, %(symbol)s, %(fingerprint)s, rows.row_number, rows.held, rows.price, rows.volume,
       rows.trade_count, undecided.quiet_until
FROM undecided
JOIN (
    SELECT date_bin(interval '1 minute', timestamptz 'epoch' + microseconds * interval '1 microsecond', 'epoch') AS minute,
           row_number, false AS held, price, volume,
           CASE WHEN %(counted)s THEN coalesce(trade_count, 1) ELSE 0 END AS trade_count
    FROM import_trades
    UNION ALL
    SELECT minute, row_number, true, NULL, NULL, NULL
    FROM unnest(%(rows)s::bigint[], %(of_minutes)s::timestamptz[]) AS held (row_number, minute)
) AS rows ON rows.minute = undecided.minute
ON CONFLICT DO NOTHING
