-- Moves one batch of old indicators to cold_storage; how many rows. Parameter: batch (rows).
SELECT tier_old_indicators(%(batch)s)
