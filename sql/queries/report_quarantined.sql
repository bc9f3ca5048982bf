-- For each subject and hour since an instant: how many rows came into quarantine.
-- Parameters: since.
SELECT subject, date_trunc('hour', created_at) AS hour, count(*) AS rows
FROM quarantine
WHERE created_at >= %(since)s
GROUP BY subject, hour
ORDER BY subject, hour
