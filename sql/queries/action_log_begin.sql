-- Somebody begins to do something. Parameters: actor, action, subject, detail.
INSERT INTO action_log (actor, action, subject, detail)
VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)
RETURNING id
