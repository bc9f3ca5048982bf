-- Whether the price before a minute waits for a decision, too. Parameters: exchange, symbol, fingerprint, minute.
SELECT EXISTS (
    SELECT FROM held_trades
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND fingerprint = %(fingerprint)s AND minute < %(minute)s
      AND (minute = %(minute)s - interval '1 minute' OR quiet_until = %(minute)s))
