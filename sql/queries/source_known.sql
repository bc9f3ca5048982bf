-- A source is known from now on. Parameters: source.
INSERT INTO source_states (source) VALUES (%(source)s) ON CONFLICT DO NOTHING
