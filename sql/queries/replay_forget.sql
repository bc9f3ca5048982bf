-- The fence of a replay that has ended: nothing will be stored under it again. Parameter: query_id.
DELETE FROM sink_fence WHERE query_id = %(query_id)s
