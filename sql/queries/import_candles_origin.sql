-- Says of candles that an import's gate held back from which row of which file they are.
-- Parameters: run, file; key, row (arrays of one length).
UPDATE quarantine
SET origin = origin || jsonb_build_object('file', %(file)s::text, 'row', held.row)
FROM unnest(%(key)s::text[], %(row)s::bigint[]) AS held (key, row)
WHERE quarantine.subject = 'candles_rest' AND quarantine.run = %(run)s AND quarantine.key = held.key
