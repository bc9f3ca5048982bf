-- The pairs that are collected besides those of the settings.
SELECT exchange, pair FROM crypto_configuration WHERE enabled ORDER BY exchange, pair
