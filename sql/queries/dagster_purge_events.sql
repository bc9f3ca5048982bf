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
