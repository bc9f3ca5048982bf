-- A batch holds the epoch of its stream until it is committed, and must not hold up the heartbeat, which writes the same
-- row each second. With the epoch in a key FOR KEY SHARE guards it: only a change of the epoch waits, not the other
-- columns.

alter table stream_status add unique (name, epoch);
