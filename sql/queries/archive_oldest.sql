-- The time of the oldest row of a range. Parameters: relation, time (its column), since, until.
SELECT archive_oldest(%(relation)s::regclass, %(time)s::name, %(since)s, %(until)s)
