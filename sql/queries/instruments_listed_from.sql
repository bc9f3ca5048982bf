-- Writes down since when a pair is listed, where nobody knew. Parameters: exchange, symbol, listed_from.
UPDATE instruments SET listed_from = %(listed_from)s
WHERE exchange = %(exchange)s AND pair = %(symbol)s AND listed_from IS NULL
