-- What the supervisor of the streams found last and remembers until it looks again: whoever asks how a stream is gets the
-- supervisor's own answer.

create table stream_verdicts (
    name text primary key,
    judged_at timestamptz not null default clock_timestamp(),
    verdict text not null,
    reason text not null default '',
    memory jsonb not null
);
