-- Puts whole chunks of cold_storage into the columnstore, where there is one; how many. Parameter: again.
SELECT compress_cold(%(again)s)
