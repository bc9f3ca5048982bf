-- Whoever asks about the missing trades of a pair is still at it. Parameters: exchange, pair, now.
UPDATE trade_gaps SET asked_at = %(now)s
WHERE exchange = %(exchange)s AND pair = %(pair)s AND status = 'healing' AND made_after IS NOT NULL
