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
