-- What of this server, its settings or the size of its lock table the platform cannot work with, or loses rows with: a
-- sentence each, with what to set. docs/servers.md has the whole list.
WITH held AS (
    SELECT count(*) AS relations FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'i', 'I') AND nspname IN ('public', 'cold_storage', '_timescaledb_internal')
), room AS (
    SELECT current_setting('max_locks_per_transaction')::bigint
           * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint) AS locks
), checks (fails, said) AS (
    SELECT current_setting('server_version_num')::integer < 150000,
           'PostgreSQL ' || current_setting('server_version') || ' is too old: 15 or later is needed'
    UNION ALL
    SELECT current_setting('server_encoding') <> 'UTF8',
           'the database is encoded in ' || current_setting('server_encoding') || ': create it with encoding UTF8'
    UNION ALL
    SELECT current_setting('max_connections')::integer < 60,
           'max_connections is ' || current_setting('max_connections') || ': the platform needs 60'
    UNION ALL
    SELECT 2 * held.relations > room.locks,
           'a statement over the whole history locks up to ' || held.relations || ' tables and indexes, the lock table has '
           || 'room for ' || room.locks || ' of all connections together: raise max_locks_per_transaction to '
           || (2 * held.relations * current_setting('max_locks_per_transaction')::bigint / room.locks + 1)
    FROM held, room
    UNION ALL
    SELECT name = ANY ('{fsync,full_page_writes,synchronous_commit,track_activities}') AND setting = 'off',
           name || ' is off: ' || CASE name
               WHEN 'track_activities' THEN 'a slow batch cannot be told from one that hangs'
               WHEN 'synchronous_commit' THEN 'what was committed last is lost in a crash, and not read again'
               ELSE 'a crash can destroy the database'
           END
    FROM pg_settings
)
SELECT said FROM checks WHERE fails ORDER BY said
