-- The UTC days whose fear and greed index is stored.
SELECT ("timestamp" AT TIME ZONE 'UTC')::date FROM fear_greed_data
