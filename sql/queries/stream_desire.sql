-- What a stream should be doing from now on; a new generation asks its owner to begin anew. Parameters: name, desired.
INSERT INTO stream_control AS control (name, desired, generation, updated_at)
VALUES (%(name)s, %(desired)s, 1, now())
ON CONFLICT (name) DO UPDATE
    SET desired = excluded.desired, generation = control.generation + 1, updated_at = excluded.updated_at
