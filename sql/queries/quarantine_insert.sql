-- What failed the gate. A series that waits there already keeps its row, with the newest failing state.
-- Parameters: subject, run; key, series, payload, origin, reason, expectation, occurrences (arrays of one length).
INSERT INTO quarantine (subject, key, series, payload, origin, reason, expectation, occurrences, run)
SELECT %(subject)s, key, series, payload, origin, reason, expectation, occurrences, %(run)s
FROM unnest(
    %(key)s::text[], %(series)s::text[], %(payload)s::jsonb[], %(origin)s::jsonb[], %(reason)s::text[],
    %(expectation)s::text[], %(occurrences)s::bigint[]
) AS held (key, series, payload, origin, reason, expectation, occurrences)
ON CONFLICT (subject, series) WHERE released_at IS NULL AND discarded_at IS NULL DO UPDATE
    SET key = excluded.key,
        payload = excluded.payload,
        origin = excluded.origin,
        reason = excluded.reason,
        expectation = excluded.expectation,
        run = excluded.run,
        occurrences = quarantine.occurrences + excluded.occurrences,
        last_seen_at = clock_timestamp()
