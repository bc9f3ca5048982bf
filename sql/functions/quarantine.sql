-- Rows of quarantine: which wait for a decision, and what was decided of the others.

create or replace function quarantine_is_open(held quarantine) returns boolean
language sql immutable
as $$
    select held.released_at is null and held.discarded_at is null
$$;
comment on function quarantine_is_open(quarantine) is 'Whether nobody has decided yet what becomes of a row';

create or replace function quarantine_state(held quarantine) returns text
language sql immutable
as $$
    select case when held.released_at is not null then 'released' when held.discarded_at is not null then 'discarded'
           else 'open' end
$$;
comment on function quarantine_state(quarantine) is 'open, released or discarded';
