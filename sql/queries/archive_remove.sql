-- Removes the rows of a piece, if they are still those that were archived.
-- Parameters: relation, time, since, until, series, rows, digest.
SELECT remove_archived(%(relation)s::regclass, %(time)s::name, %(since)s, %(until)s, %(series)s, %(rows)s, %(digest)s)
