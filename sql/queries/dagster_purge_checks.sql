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
