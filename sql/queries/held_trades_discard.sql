-- Rows of quarantine are no trades: nothing waits for them any more. Parameter: keys.
UPDATE held_trades
SET held = false
FROM unnest(%(keys)s::text[]) AS discarded (key)
WHERE fingerprint = regexp_replace(key, ':[0-9]+$', '') AND row_number = substring(key FROM '[0-9]+$')::bigint AND held
