-- Minutes that are settled. Parameters: exchange, symbol, fingerprint; minutes.
DELETE FROM held_trades
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND fingerprint = %(fingerprint)s
  AND minute = ANY(%(minutes)s::timestamptz[])
