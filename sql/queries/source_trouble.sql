-- What is wrong with a source beyond this poll: its last failure if nothing has succeeded since, and the age in seconds
-- of the newest that is stored of it (null: nothing). Parameters: source, subject.
SELECT CASE WHEN failed_at > coalesce(succeeded_at, '-infinity') THEN failure END AS failure,
       extract(epoch FROM now() - CASE %(subject)s
           WHEN 'market' THEN (
               SELECT max("timestamp") FROM market_data
               WHERE source = %(source)s AND "timestamp" > now() - interval '30 days'
           )
           WHEN 'mood' THEN (SELECT max("timestamp") FROM fear_greed_data)
       END)::float8 AS age
FROM source_states
WHERE source = %(source)s
