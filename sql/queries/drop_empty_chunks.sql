-- Drops the chunks of a table that end before and have no rows; how many. Parameters: relation, before.
SELECT drop_empty_chunks(%(relation)s::regclass, %(before)s)
