-- The exchanges whose instruments are known.
SELECT DISTINCT exchange FROM instruments
