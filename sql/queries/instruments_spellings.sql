-- How the exchange itself spells each pair that it lists or has listed; null: from before that was kept. A pair that is only
-- in quarantine is listed too: what the gate holds against it are its status and steps. An exchange without any row is not
-- known, whatever of a listing is held back.
WITH known AS (
    SELECT pair, spelling FROM instruments WHERE exchange = %(exchange)s
),
held AS (
    SELECT payload, last_seen_at FROM quarantine
    WHERE subject = 'instruments' AND released_at IS NULL AND discarded_at IS NULL
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
