-- Puts a whole chunk of cold_storage into the columnstore, where there is one; how many (1 or 0). Parameter: again.
SELECT compress_cold(%(again)s)
