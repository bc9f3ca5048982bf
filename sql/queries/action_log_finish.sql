-- What came of it. Parameters: id, detail (added to what is there).
UPDATE action_log SET detail = detail || %(detail)s WHERE id = %(id)s
