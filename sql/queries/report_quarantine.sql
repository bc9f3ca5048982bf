-- For each subject: the rows in quarantine by state, and when one was last seen.
SELECT subject,
       count(*) FILTER (WHERE released_at IS NULL AND discarded_at IS NULL) AS open,
       count(*) FILTER (WHERE released_at IS NOT NULL) AS released,
       count(*) FILTER (WHERE discarded_at IS NOT NULL) AS discarded,
       coalesce(sum(occurrences) FILTER (WHERE released_at IS NULL AND discarded_at IS NULL), 0)::bigint AS occurrences,
       max(last_seen_at) AS last_seen_at
FROM quarantine
GROUP BY subject
ORDER BY subject
