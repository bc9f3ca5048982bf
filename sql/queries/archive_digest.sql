-- How many rows a piece has, and what they come to. Parameters: relation, time, since, until, series (column -> value).
SELECT rows, digest
FROM archive_digest(%(relation)s::regclass, archive_where(%(time)s::name, %(since)s, %(until)s, %(series)s))
