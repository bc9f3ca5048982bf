-- Moves one batch of old candles to cold_storage; how many rows. Parameter: batch (rows).
SELECT tier_old_candles(%(batch)s)
