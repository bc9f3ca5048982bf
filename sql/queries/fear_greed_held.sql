-- The days whose index is stored, with it.
SELECT ("timestamp" AT TIME ZONE 'UTC')::date, value FROM fear_greed_data
