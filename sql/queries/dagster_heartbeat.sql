-- Seconds since the Dagster daemon last reported, in Dagster's own database.
SELECT extract(epoch FROM now() - max(timestamp))::float8 FROM daemon_heartbeats
