-- The epoch of a stream, and whose it is: who holds an older one must end. Parameters: name.
SELECT epoch, runner_pid, host FROM stream_status WHERE name = %(name)s
