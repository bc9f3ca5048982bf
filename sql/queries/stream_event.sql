-- Something happened to a stream's worker; told twice, it is written once.
-- Parameters: name, at, event, epoch, reason, detail.
INSERT INTO stream_events (name, at, event, epoch, reason, detail)
VALUES (%(name)s, %(at)s, %(event)s, %(epoch)s, %(reason)s, %(detail)s)
ON CONFLICT (name, at, event) DO NOTHING
