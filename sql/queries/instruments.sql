-- Which pairs can be traded where.

-- name: instruments_delist
-- Pairs that an exchange no longer lists keep their row and the time they were last seen.
UPDATE instruments SET status = %(status)s WHERE exchange = %(exchange)s AND pair = ANY(%(pair)s)

-- name: instruments_listed_from
-- Writes down since when a pair is listed, where nobody knew. Parameters: exchange, symbol, listed_from.
UPDATE instruments SET listed_from = %(listed_from)s
WHERE exchange = %(exchange)s AND pair = %(symbol)s AND listed_from IS NULL

-- name: instruments_lock
-- One refresh of an exchange's instruments at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('instruments'), hashtext(%(exchange)s))

-- name: instruments_spellings
-- How the exchange itself spells each pair that it lists or has listed; null: from before that was kept. A pair that is only
-- in quarantine is listed too: what the gate holds against it are its status and steps. An exchange without any row is not
-- known, whatever of a listing is held back.
WITH known AS (
    SELECT pair, spelling FROM instruments WHERE exchange = %(exchange)s
),
held AS (
    SELECT payload, last_seen_at FROM quarantine
    WHERE subject = 'instruments' AND quarantine_is_open(quarantine)
    UNION ALL
    SELECT payload, last_seen_at FROM quarantine
    WHERE subject = 'instruments' AND discarded_at IS NOT NULL
)
SELECT pair, spelling FROM known
UNION ALL
(
    SELECT DISTINCT ON (payload ->> 'pair') payload ->> 'pair', payload ->> 'spelling'
    FROM held
    WHERE payload ->> 'exchange' = %(exchange)s
      AND payload ->> 'pair' IS NOT NULL
      AND payload ->> 'pair' NOT IN (SELECT pair FROM known)
      AND EXISTS (SELECT FROM known)
    ORDER BY payload ->> 'pair', last_seen_at DESC
)

-- name: instruments_status
-- What the table says of each pair of an exchange.
SELECT pair, status FROM instruments WHERE exchange = %(exchange)s

-- name: instruments_upsert
-- The pairs that an exchange lists now: new rows, or the old ones with what is true now; seen_from stays.
-- Parameters: exchange, seen_at; pair, status, price_increment, volume_increment, spelling (arrays of one length).
INSERT INTO instruments (
    exchange, pair, status, price_increment, volume_increment, spelling, seen_from, seen_to, received_at
)
SELECT
    %(exchange)s, pair, status, price_increment, volume_increment, spelling, %(seen_at)s, %(seen_at)s, %(seen_at)s
FROM unnest(
    %(pair)s::text[], %(status)s::text[], %(price_increment)s::numeric[], %(volume_increment)s::numeric[],
    %(spelling)s::text[]
) AS current (pair, status, price_increment, volume_increment, spelling)
ON CONFLICT (exchange, pair) DO UPDATE
    SET status = excluded.status,
        price_increment = excluded.price_increment,
        volume_increment = excluded.volume_increment,
        spelling = coalesce(excluded.spelling, instruments.spelling),
        seen_to = greatest(instruments.seen_to, excluded.seen_to),
        received_at = excluded.received_at
