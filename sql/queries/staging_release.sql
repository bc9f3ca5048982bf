-- Rows out of quarantine: they have passed and wait for the broker.
-- Parameters: subject, run; key, series, payload, origin (arrays of one length).
INSERT INTO staging (subject, key, series, payload, origin, run, passed_at)
SELECT %(subject)s, key, series, payload, origin, %(run)s, clock_timestamp()
FROM unnest(%(key)s::text[], %(series)s::text[], %(payload)s::jsonb[], %(origin)s::jsonb[])
    AS released (key, series, payload, origin)
ON CONFLICT (subject, key) DO UPDATE
    SET payload = excluded.payload, origin = excluded.origin, passed_at = excluded.passed_at
