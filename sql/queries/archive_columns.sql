-- The columns of a table that can be written, in order, with their types. Parameter: relation.
SELECT attname, format_type(atttypid, NULL)
FROM pg_attribute
WHERE attrelid = %(relation)s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
