-- Deletes a batch of past executions of checks; the newest of each check and partition stays.
-- Parameters: before, batch. One row: how many.
WITH gone AS (
    DELETE FROM asset_check_executions
    WHERE id IN (
        SELECT id FROM asset_check_executions AS old
        WHERE create_timestamp < %(before)s
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
