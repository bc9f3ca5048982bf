-- Every column of every table and view of ours: relation, its comment, column, type, place in the key, comment.
select case nspname when 'public' then relname else nspname || '.' || relname end,
       obj_description(pg_class.oid, 'pg_class'),
       attname,
       format_type(atttypid, atttypmod),
       array_position(key.columns, attnum),
       col_description(pg_class.oid, attnum)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
left join lateral (
    select array_agg(number::smallint order by place) as columns
    from pg_index, unnest(indkey) with ordinality keys (number, place)
    where indrelid = pg_class.oid and indisprimary
) key on true
where nspname in ('public', 'cold_storage') and relkind in ('r', 'p', 'v', 'm')
  and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')
order by nspname <> 'public', relname, attnum
