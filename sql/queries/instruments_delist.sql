-- Pairs that an exchange no longer lists keep their row and the time they were last seen.
UPDATE instruments SET status = %(status)s WHERE exchange = %(exchange)s AND pair = ANY(%(pair)s)
