-- Until when the candles of some minutes and of the silence after them are stored.
-- Parameters: exchange, symbol, fingerprint; minutes, untils (arrays of one length).
UPDATE held_trades
SET settled_until = given.until
FROM unnest(%(minutes)s::timestamptz[], %(untils)s::timestamptz[]) AS given (minute, until)
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND fingerprint = %(fingerprint)s
  AND held_trades.minute = given.minute
