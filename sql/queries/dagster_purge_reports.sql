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
