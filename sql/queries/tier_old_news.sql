-- Moves one batch of old news to cold_storage; how many rows. Parameter: batch (rows).
SELECT tier_old_news(%(batch)s)
