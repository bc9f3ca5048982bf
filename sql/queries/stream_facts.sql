-- Each asked stream: what it should do, what it says, whether a runner holds its lock, and what its last restart cost.
-- A server that was away could not be written to: silence counts from its start. Parameter: names.
SELECT asked.name, coalesce(control.desired, 'running') AS desired, status.state,
       status.epoch, status.runner_pid,
       CASE WHEN status.runner_heartbeat IS NOT NULL THEN
           extract(epoch FROM now() - greatest(status.runner_heartbeat, pg_postmaster_start_time()))::float8
       END AS runner_age,
       CASE WHEN status.heartbeat IS NOT NULL THEN
           extract(epoch FROM now() - greatest(status.heartbeat, pg_postmaster_start_time()))::float8
       END AS heartbeat_age,
       extract(epoch FROM now() - status.started_at)::float8 AS uptime,
       extract(epoch FROM now() - status.ready_at)::float8 AS ready_age,
       extract(epoch FROM now() - status.progressed_at)::float8 AS progress_age,
       extract(epoch FROM now() - status.rows_at)::float8 AS rows_age,
       extract(epoch FROM status.next_start_at - now())::float8 AS next_start_in,
       status.lag, coalesce(status.rows_total, 0) AS rows_total, status.batch_rows, status.batch_ms,
       coalesce(status.restarts, 0) AS restarts, coalesce(control.generation, 0) AS asked_generation,
       status.generation, status.last_error, coalesce(status.detail, '{}') AS detail,
       EXISTS (
           SELECT FROM pg_locks
           WHERE locktype = 'advisory' AND granted AND objsubid = 1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (classid::bigint << 32) | objid::bigint = hashtextextended('cryptoviz.stream.' || asked.name, 0)
       ) AS locked,
       happened.at AS event_at, happened.event, happened.reason AS event_reason, happened.detail AS event_detail
FROM unnest(%(names)s::text[]) AS asked (name)
LEFT JOIN stream_status AS status USING (name)
LEFT JOIN stream_control AS control USING (name)
LEFT JOIN LATERAL (
    SELECT at, event, reason, detail FROM stream_events
    WHERE name = asked.name AND event NOT IN ('ready', 'taken_over') ORDER BY at DESC LIMIT 1
) AS happened ON true
ORDER BY asked.name
