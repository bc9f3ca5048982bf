-- Rows are released or discarded.
-- Parameters: ids, actor, released.
UPDATE quarantine
SET released_at = CASE WHEN %(released)s THEN clock_timestamp() END,
    discarded_at = CASE WHEN NOT %(released)s THEN clock_timestamp() END,
    resolved_by = %(actor)s
WHERE id = ANY(%(ids)s)
