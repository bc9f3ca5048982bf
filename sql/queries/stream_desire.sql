-- What a stream should be doing from now on; its runner sees to it. Parameters: name, desired.
INSERT INTO stream_control AS control (name, desired, updated_at)
VALUES (%(name)s, %(desired)s, now())
ON CONFLICT (name) DO UPDATE
    SET desired = excluded.desired, updated_at = excluded.updated_at
RETURNING generation
