-- Writes down that the days of a pair before `position` are looked over, and what was found in addition.
-- Parameters: exchange, pair, position, corrected, closed, reopened, made.
UPDATE candle_repairs
SET position = least(%(position)s, until), corrected = corrected + %(corrected)s, closed = closed + %(closed)s,
    reopened = reopened + %(reopened)s, made = made + %(made)s,
    finished_at = CASE WHEN %(position)s >= until THEN now() END, received_at = now()
WHERE exchange = %(exchange)s AND symbol = %(pair)s
