-- A new generation of a stream that should run: its runner stops the worker and starts another, at once. No row comes
-- back when the stream should stand still, or when `generation` (if given) is not the one asked for last: somebody else
-- was faster. Parameters: name, generation.
INSERT INTO stream_control AS control (name, generation, updated_at)
VALUES (%(name)s, 1, now())
ON CONFLICT (name) DO UPDATE
    SET generation = control.generation + 1, updated_at = excluded.updated_at
    WHERE control.desired = 'running'
      AND control.generation = coalesce(%(generation)s::bigint, control.generation)
RETURNING generation
