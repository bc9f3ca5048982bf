-- Rows that are kept back, and what became of them.

-- name: quarantine_counts
-- For each subject: how many rows are open in quarantine.
SELECT subject, count(*) FROM quarantine WHERE quarantine_is_open(quarantine) GROUP BY subject ORDER BY subject

-- name: quarantine_discarded
-- Which of these keys somebody has discarded. Parameters: subject, keys.
SELECT key FROM quarantine WHERE subject = %(subject)s AND key = ANY(%(keys)s::text[]) AND discarded_at IS NOT NULL

-- name: quarantine_insert
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

-- name: quarantine_list
-- Rows in quarantine, the last seen first.
-- Parameters: subject (empty: every), all (resolved ones too), limit.
SELECT id, subject, series, expectation, reason, occurrences, created_at, last_seen_at,
       quarantine_state(quarantine) AS state
FROM quarantine
WHERE (%(subject)s::text IS NULL OR subject = %(subject)s)
    AND (%(all)s OR quarantine_is_open(quarantine))
ORDER BY last_seen_at DESC, id DESC
LIMIT %(limit)s

-- name: quarantine_open
-- The ids of what is open of a subject, the oldest first.
-- Parameters: subject.
SELECT id FROM quarantine WHERE subject = %(subject)s AND quarantine_is_open(quarantine) ORDER BY id

-- name: quarantine_overtaken
-- Open rows of what has been published since, from another answer, are resolved. Parameters: subject, keys, actor.
UPDATE quarantine
SET released_at = clock_timestamp(), resolved_by = %(actor)s
WHERE subject = %(subject)s AND key = ANY(%(keys)s::text[]) AND quarantine_is_open(quarantine)

-- name: quarantine_resolve
-- Rows are released or discarded.
-- Parameters: ids, actor, released.
UPDATE quarantine
SET released_at = CASE WHEN %(released)s THEN clock_timestamp() END,
    discarded_at = CASE WHEN NOT %(released)s THEN clock_timestamp() END,
    resolved_by = %(actor)s
WHERE id = ANY(%(ids)s)

-- name: quarantine_show
-- One row of quarantine, whole.
-- Parameters: id.
SELECT id, subject, key, series, expectation, reason, payload, origin, run, occurrences, created_at, last_seen_at,
       released_at, discarded_at, resolved_by,
       quarantine_state(quarantine) AS state
FROM quarantine
WHERE id = %(id)s

-- name: quarantine_take
-- Rows of quarantine to be resolved; nobody else resolves them until the end of the transaction.
-- Parameters: ids.
SELECT id, subject, key, series, payload, origin,
       quarantine_state(quarantine) AS state
FROM quarantine
WHERE id = ANY(%(ids)s)
ORDER BY id
FOR UPDATE
