-- What the supervisor remembers of each stream.
SELECT name, memory FROM stream_verdicts
