-- Rows for the outbox, but for those that wait already, were published lately or were discarded.
-- Parameters: subject, run; key, series, payload, origin (arrays of one length).
INSERT INTO staging (subject, key, series, payload, origin, run)
SELECT %(subject)s, key, series, payload, origin, %(run)s
FROM unnest(%(key)s::text[], %(series)s::text[], %(payload)s::jsonb[], %(origin)s::jsonb[])
    WITH ORDINALITY AS fetched (key, series, payload, origin, number)
WHERE NOT EXISTS (
        SELECT FROM published_keys WHERE published_keys.subject = %(subject)s AND published_keys.key = fetched.key
    )
    AND NOT EXISTS (
        SELECT FROM quarantine
        WHERE quarantine.subject = %(subject)s AND quarantine.key = fetched.key AND discarded_at IS NOT NULL
    )
ORDER BY number
ON CONFLICT (subject, key) DO NOTHING
