-- The epoch of a stream: who holds an older one must end. Parameters: name.
SELECT epoch FROM stream_status WHERE name = %(name)s
