-- For each subject: how many rows are open in quarantine.
SELECT subject, count(*) FROM quarantine WHERE released_at IS NULL AND discarded_at IS NULL GROUP BY subject ORDER BY subject
