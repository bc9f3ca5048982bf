-- What the database does for a worker, by connection: whether it works on a statement (or waits for a lock), whose lock it
-- waits for, since when, and the rows copied so far. Idle connections are left out. Parameter: application_name.
SELECT work.pid, work.state = 'active' AND work.wait_event_type IS DISTINCT FROM 'Client' AS busy,
       CASE WHEN work.wait_event_type = 'Lock' THEN
           (SELECT string_agg(DISTINCT coalesce(nullif(holder.application_name, ''), holder.pid::text), ', ')
            FROM pg_stat_activity AS holder WHERE holder.pid = ANY (pg_blocking_pids(work.pid)))
       END AS held_by,
       work.query_start, copied.tuples_processed
FROM pg_stat_activity AS work
LEFT JOIN pg_stat_progress_copy AS copied USING (pid)
WHERE work.datname = current_database() AND work.usename = current_user AND work.state <> 'idle'
  AND work.application_name = %(application_name)s
