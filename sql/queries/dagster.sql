-- Dagster's own tables: what is deleted from them.

-- name: dagster_heartbeat
-- Seconds since the Dagster daemon last reported, in Dagster's own database.
SELECT extract(epoch FROM now() - max(timestamp))::float8 FROM daemon_heartbeats

-- name: dagster_purge_checks
-- Deletes a batch of past executions of checks; the newest of each check and partition stays.
-- Those of the polls go earlier. Parameters: before, polls_before, polls (job names), batch. One row: how many.
WITH gone AS (
    DELETE FROM asset_check_executions
    WHERE id IN (
        SELECT id FROM asset_check_executions AS old
        WHERE (
              create_timestamp < %(before)s
              OR create_timestamp < %(polls_before)s AND run_id IN (
                  SELECT run_id FROM runs WHERE pipeline_name = ANY(%(polls)s) AND status = 'SUCCESS'
              )
          )
          AND EXISTS (
              SELECT FROM asset_check_executions AS newer
              WHERE newer.asset_key = old.asset_key AND newer.check_name = old.check_name
                AND newer.partition IS NOT DISTINCT FROM old.partition AND newer.id > old.id
          )
        ORDER BY id LIMIT %(batch)s
    )
    RETURNING id
)
SELECT count(*) FROM gone

-- name: dagster_purge_events
-- Deletes a batch of events of runs that stay for the sake of an asset's newest event; that event stays with them.
-- Parameters: before, batch. One row: how many.
WITH gone AS (
    DELETE FROM event_logs
    WHERE id IN (
        SELECT old.id FROM event_logs AS old
        JOIN runs ON runs.run_id = old.run_id
        WHERE runs.status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND runs.update_timestamp < %(before)s
          AND old.timestamp < %(before)s
          AND NOT EXISTS (SELECT FROM asset_check_executions WHERE evaluation_event_storage_id = old.id)
          AND (
              old.asset_key IS NULL
              OR old.dagster_event_type
                 NOT IN ('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION', 'ASSET_MATERIALIZATION_PLANNED')
              OR EXISTS (
                  SELECT FROM event_logs AS newer
                  WHERE newer.asset_key = old.asset_key AND newer.dagster_event_type = old.dagster_event_type
                    AND newer.partition IS NOT DISTINCT FROM old.partition AND newer.id > old.id
              )
          )
        ORDER BY old.id LIMIT %(batch)s
    )
    RETURNING id
), tags AS (
    DELETE FROM asset_event_tags WHERE event_id IN (SELECT id FROM gone)
)
SELECT count(*) FROM gone

-- name: dagster_purge_reports
-- Deletes a batch of what was reported of assets without a run; the newest of each asset, kind and partition stays.
-- Parameters: before, batch. One row: how many.
WITH gone AS (
    DELETE FROM event_logs
    WHERE id IN (
        SELECT id FROM event_logs AS old
        WHERE run_id = '' AND timestamp < %(before)s
          AND NOT EXISTS (SELECT FROM asset_check_executions WHERE evaluation_event_storage_id = old.id)
          AND (
              old.asset_key IS NULL OR EXISTS (
                  SELECT FROM event_logs AS newer
                  WHERE newer.asset_key = old.asset_key AND newer.dagster_event_type = old.dagster_event_type
                    AND newer.partition IS NOT DISTINCT FROM old.partition AND newer.id > old.id
              )
          )
        ORDER BY id LIMIT %(batch)s
    )
    RETURNING id
), tags AS (
    DELETE FROM asset_event_tags WHERE event_id IN (SELECT id FROM gone)
)
SELECT count(*) FROM gone

-- name: dagster_purgeable_runs
-- A batch of finished runs that hold the newest word on no asset, partition or check; the polls' that went well go
-- earlier. Parameters: before, polls_before, polls (job names), batch.
SELECT run_id FROM runs
WHERE (
      status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND update_timestamp < %(before)s
      OR status = 'SUCCESS' AND pipeline_name = ANY(%(polls)s) AND update_timestamp < %(polls_before)s
  )
  AND NOT EXISTS (
      SELECT FROM event_logs AS event
      WHERE event.run_id = runs.run_id AND event.asset_key IS NOT NULL
        AND event.dagster_event_type
            IN ('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION', 'ASSET_MATERIALIZATION_PLANNED')
        AND NOT EXISTS (
            SELECT FROM event_logs AS newer
            WHERE newer.asset_key = event.asset_key AND newer.dagster_event_type = event.dagster_event_type
              AND newer.partition IS NOT DISTINCT FROM event.partition AND newer.id > event.id
        )
  )
  AND NOT EXISTS (SELECT FROM asset_check_executions WHERE asset_check_executions.run_id = runs.run_id)
ORDER BY id LIMIT %(batch)s
