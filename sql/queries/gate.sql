-- What the gate knows, what it found, and what waits to be delivered.

-- name: gate_known_coins
-- Price and name of each coin of each source as they were published last, within an hour before the instant.
-- Parameters: before (empty: now).
SELECT DISTINCT ON (source, symbol) source, symbol, price_usd, name
FROM market_data
WHERE "timestamp" > coalesce(%(before)s::timestamptz, now()) - interval '1 hour'
    AND "timestamp" <= coalesce(%(before)s::timestamptz, now())
ORDER BY source, symbol, "timestamp" DESC

-- name: gate_known_days
-- The UTC days whose fear and greed index is stored.
SELECT ("timestamp" AT TIME ZONE 'UTC')::date FROM fear_greed_data

-- name: gate_known_listed
-- How many pairs each exchange lists by the table.
SELECT exchange, count(*) FROM instruments WHERE status <> 'delisted' GROUP BY exchange

-- name: quality_document_insert
-- The validation of an asset: it takes the place of the one before if that is of the same hour, failed the same
-- expectations, and was not the first to do so.
-- Parameters: asset, run, suite, success, failed, document, evaluated_at.
WITH before AS (
    SELECT evaluated_at, failed, turned
    FROM quality_documents
    WHERE asset = %(asset)s
    ORDER BY evaluated_at DESC
    LIMIT 1
),
replaced AS (
    DELETE FROM quality_documents
    USING before
    WHERE quality_documents.asset = %(asset)s
        AND quality_documents.evaluated_at = before.evaluated_at
        AND before.failed = %(failed)s::text[]
        AND NOT before.turned
        AND date_trunc('hour', before.evaluated_at) = date_trunc('hour', %(evaluated_at)s::timestamptz)
)
INSERT INTO quality_documents (asset, evaluated_at, run, suite, success, failed, turned, document)
SELECT %(asset)s, %(evaluated_at)s, %(run)s, %(suite)s, %(success)s, %(failed)s,
       NOT EXISTS (SELECT FROM before WHERE failed = %(failed)s::text[]), %(document)s::jsonb

-- name: quality_results_insert
-- The results of one audit; those of another attempt of the same run are replaced.
-- Parameters: run, asset, suite, evaluated_at; expectation, severity, success, observed, unexpected_count (arrays).
INSERT INTO quality_results (
    run, asset, suite, expectation, severity, success, observed, unexpected_count, evaluated_at
)
SELECT %(run)s, %(asset)s, %(suite)s, expectation, severity, success, observed, unexpected_count, %(evaluated_at)s
FROM unnest(
    %(expectation)s::text[], %(severity)s::text[], %(success)s::boolean[], %(observed)s::jsonb[],
    %(unexpected_count)s::bigint[]
) AS results (expectation, severity, success, observed, unexpected_count)
ON CONFLICT (run, asset, expectation) DO UPDATE
    SET suite = excluded.suite,
        severity = excluded.severity,
        success = excluded.success,
        observed = excluded.observed,
        unexpected_count = excluded.unexpected_count,
        evaluated_at = excluded.evaluated_at

-- name: quality_results_last
-- The results of the last audit of an asset.
-- Parameters: asset.
SELECT expectation, severity, success, observed, unexpected_count
FROM quality_results
WHERE asset = %(asset)s
    AND evaluated_at = (SELECT max(evaluated_at) FROM quality_results WHERE asset = %(asset)s)

-- name: staging_delivered
-- The broker has these: they leave the outbox and are remembered.
-- Parameters: subject, numbers.
WITH delivered AS (
    DELETE FROM staging WHERE subject = %(subject)s AND number = ANY(%(numbers)s) RETURNING subject, key
)
INSERT INTO published_keys (subject, key)
SELECT subject, key FROM delivered
ON CONFLICT (subject, key) DO UPDATE SET published_at = excluded.published_at

-- name: staging_insert
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

-- name: staging_lock
-- One judgement of a subject at a time, until the end of the transaction.
-- Parameters: subject.
SELECT pg_advisory_xact_lock(hashtext('cryptoviz.gate'), hashtext(%(subject)s))

-- name: staging_passed
-- What passed and is not acknowledged yet, in the order it came.
-- Parameters: subject, most.
SELECT number, payload
FROM staging
WHERE subject = %(subject)s AND passed_at IS NOT NULL
ORDER BY number
LIMIT %(most)s

-- name: staging_release
-- Rows out of quarantine: they have passed and wait for the broker.
-- Parameters: subject, run; key, series, payload, origin (arrays of one length).
INSERT INTO staging (subject, key, series, payload, origin, run, passed_at)
SELECT %(subject)s, key, series, payload, origin, %(run)s, clock_timestamp()
FROM unnest(%(key)s::text[], %(series)s::text[], %(payload)s::jsonb[], %(origin)s::jsonb[])
    AS released (key, series, payload, origin)
ON CONFLICT (subject, key) DO UPDATE
    SET payload = excluded.payload, origin = excluded.origin, passed_at = excluded.passed_at

-- name: staging_settle
-- Judged rows: those that passed wait for the broker, the others leave.
-- Parameters: subject; passed, held (numbers).
WITH left_behind AS (
    DELETE FROM staging WHERE subject = %(subject)s AND number = ANY(%(held)s)
)
UPDATE staging SET passed_at = clock_timestamp() WHERE subject = %(subject)s AND number = ANY(%(passed)s)

-- name: staging_unpass
-- Rows to be judged once more.
-- Parameters: subject, numbers.
UPDATE staging SET passed_at = NULL WHERE subject = %(subject)s AND number = ANY(%(numbers)s)

-- name: staging_waiting
-- What waits to be judged, in the order it came.
-- Parameters: subject, most.
SELECT number, key, series, payload, origin, run
FROM staging
WHERE subject = %(subject)s AND passed_at IS NULL
ORDER BY number
LIMIT %(most)s

-- name: fear_greed_held
-- The days whose index is stored, with it.
SELECT ("timestamp" AT TIME ZONE 'UTC')::date, value FROM fear_greed_data
