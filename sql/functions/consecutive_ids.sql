-- The exchanges whose declaration says so (`ExchangeSpec.consecutive_ids`) are filled in when this is applied.

create or replace function has_consecutive_ids(exchange text) returns boolean
language sql immutable strict parallel safe
return exchange = any (array[:consecutive_ids]::text[]);
comment on function has_consecutive_ids(text) is
    'Whether an exchange numbers the trades of each pair without leaving a number out, so that ids say what is missing';
