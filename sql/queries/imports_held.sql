-- Imported trades of which some are in quarantine.

-- name: held_trades_before
-- Whether the price before a minute waits for a decision, too. Parameters: exchange, symbol, fingerprint, minute.
SELECT EXISTS (
    SELECT FROM held_trades
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND fingerprint = %(fingerprint)s AND minute < %(minute)s
      AND (minute = %(minute)s - interval '1 minute' OR quiet_until = %(minute)s))

-- name: held_trades_decided
-- What the minutes come to of which nothing is undecided any more, by series and file, oldest first: until when nobody
-- traded after each, until when its candles are stored, the close of the closed candle that it has meanwhile, and its
-- figures, open to close null where no trade is left.
SELECT exchange, symbol, fingerprint, minute, max(quiet_until), max(settled_until),
       (SELECT all_candles.close FROM all_candles
        WHERE all_candles.exchange = kept.exchange AND all_candles.symbol = kept.symbol AND timeframe = '1m'
          AND window_start = minute AND closed
        LIMIT 1),
       (array_agg(price ORDER BY row_number) FILTER (WHERE price IS NOT NULL))[1], max(price), min(price),
       (array_agg(price ORDER BY row_number DESC) FILTER (WHERE price IS NOT NULL))[1], sum(volume),
       CASE WHEN bool_or(trade_count = 0) THEN 0 ELSE sum(trade_count)::bigint END
FROM held_trades AS kept
GROUP BY exchange, symbol, fingerprint, minute
HAVING NOT bool_or(held)
ORDER BY exchange, symbol, fingerprint, minute

-- name: held_trades_discard
-- Rows of quarantine are no trades: nothing waits for them any more. Parameter: keys.
UPDATE held_trades
SET held = false
FROM unnest(%(keys)s::text[]) AS discarded (key)
WHERE fingerprint = regexp_replace(key, ':[0-9]+$', '') AND row_number = substring(key FROM '[0-9]+$')::bigint AND held

-- name: held_trades_done
-- Minutes that are settled. Parameters: exchange, symbol, fingerprint; minutes.
DELETE FROM held_trades
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND fingerprint = %(fingerprint)s
  AND minute = ANY(%(minutes)s::timestamptz[])

-- name: held_trades_insert
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

-- name: held_trades_known
-- Which of some minutes have a closed candle. Parameters: exchange, symbol, since, until.
SELECT window_start FROM all_candles
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = '1m' AND closed
  AND window_start >= %(since)s AND window_start <= %(until)s

-- name: held_trades_release
-- A row of quarantine is a trade: it belongs to one of the minutes that it was held for, and to none of the others.
-- Parameters: key, minute, price, volume, trade_count.
UPDATE held_trades
SET held = false,
    price = CASE WHEN minute = %(minute)s THEN %(price)s::numeric END,
    volume = CASE WHEN minute = %(minute)s THEN %(volume)s::numeric END,
    trade_count = CASE WHEN minute = %(minute)s THEN %(trade_count)s::bigint END
WHERE fingerprint = regexp_replace(%(key)s, ':[0-9]+$', '') AND row_number = substring(%(key)s FROM '[0-9]+$')::bigint
  AND held

-- name: held_trades_settled
-- Until when the candles of some minutes and of the silence after them are stored.
-- Parameters: exchange, symbol, fingerprint; minutes, untils (arrays of one length).
UPDATE held_trades
SET settled_until = given.until
FROM unnest(%(minutes)s::timestamptz[], %(untils)s::timestamptz[]) AS given (minute, until)
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND fingerprint = %(fingerprint)s
  AND held_trades.minute = given.minute
