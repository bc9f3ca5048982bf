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
) AS listed (pair, status, price_increment, volume_increment, spelling)
ON CONFLICT (exchange, pair) DO UPDATE
    SET status = excluded.status,
        price_increment = excluded.price_increment,
        volume_increment = excluded.volume_increment,
        spelling = coalesce(excluded.spelling, instruments.spelling),
        seen_to = greatest(instruments.seen_to, excluded.seen_to),
        received_at = excluded.received_at
