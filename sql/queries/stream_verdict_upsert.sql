-- What the supervisor found of a stream, and remembers of it. Parameters: name, verdict, reason, memory.
INSERT INTO stream_verdicts (name, verdict, reason, memory)
VALUES (%(name)s, %(verdict)s, %(reason)s, %(memory)s)
ON CONFLICT (name) DO UPDATE
    SET judged_at = clock_timestamp(), verdict = excluded.verdict, reason = excluded.reason, memory = excluded.memory
