-- What happened before this is to leave the database; null: nothing is. Parameters: subject, now.
SELECT %(now)s - greatest(hot_age + cold_age, history_age)
FROM tiering_policy
WHERE subject = %(subject)s AND timeframe = ''
UNION ALL
SELECT %(now)s - kept FROM retention_policy WHERE subject = %(subject)s
