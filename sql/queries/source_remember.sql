-- What the poller of a source keeps for its next run. Parameters: source, memory.
UPDATE source_states SET memory = %(memory)s::jsonb WHERE source = %(source)s
