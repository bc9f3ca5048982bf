-- Narrows the range whose candles are still to be made from imported trades; nulls: there is none.
-- Parameters: fingerprint, kind, exchange, symbol, candles_from, candles_until.
UPDATE import_progress
SET candles_from = %(candles_from)s, candles_until = %(candles_until)s, updated_at = now()
WHERE fingerprint = %(fingerprint)s AND kind = %(kind)s AND exchange = %(exchange)s AND symbol = %(symbol)s
