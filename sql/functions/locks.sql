-- Locks, in the order in which they are taken; docs/decisions/0013-order-of-locks.md says who takes which, and why.
--
--   indicators -> batch -> tiering -> candles -> series -> gaps        until the end of the transaction, all of them
--
-- The stream takes `candles` (shared) and the series of its trades; only for trades of days that may be cold, `tiering`
-- before them. Batch work takes `candles` alone: so the stream waits for one piece of it at most, whatever its series,
-- and each piece waits for `batch` first, so that no second one stands before the stream in the queue.

create or replace function lock_batch() returns void
language plpgsql
set jit = off
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('cryptoviz:batch', 0));
    perform lock_tiering(shared => true);
end
$$;
comment on function lock_batch() is
    'Batch work that writes trades or candles takes turns, piece by piece; rows stay in their tier meanwhile. The stream does not wait for it';

create or replace function lock_candles() returns void
language plpgsql
set jit = off
as $$
begin
    perform lock_batch();
    perform pg_advisory_xact_lock(hashtextextended('cryptoviz:candles', 0));
end
$$;
comment on function lock_candles() is
    'A piece of batch work begins: the stream writes no candles until its transaction ends, so that must be soon';

create or replace function lock_series(exchanges text[], pairs text[]) returns void
language plpgsql
set jit = off
as $$
declare
    key bigint;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'candles need READ COMMITTED: an older snapshot would miss trades of other transactions';
    end if;
    perform pg_advisory_xact_lock_shared(hashtextextended('cryptoviz:candles', 0));
    for key in
        select distinct hashtextextended(exchange || ':' || pair, 0)
        from unnest(exchanges, pairs) touched (exchange, pair)
        order by 1
    loop
        perform pg_advisory_xact_lock(key);
    end loop;
end
$$;
comment on function lock_series(text[], text[]) is
    'Two that write candles of one pair take turns, until the end of the transaction';

create or replace function lock_gaps(exchange text, symbol text, timeframe text) returns void
language sql
set jit = off
as $$
    select pg_advisory_xact_lock(hashtextextended('gaps:' || exchange || ':' || symbol || ':' || timeframe, 0))
$$;

create or replace function lock_indicators() returns void
language plpgsql
set jit = off
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('cryptoviz:indicators', 0));
end
$$;
comment on function lock_indicators() is 'Who computes indicators takes turns, until the end of the transaction';

-- Whoever waits in the queue keeps everybody behind him waiting: who wants the tiers for himself stands there for a
-- moment only, and comes again.
create or replace function lock_tiering(shared boolean) returns void
language plpgsql
set jit = off
as $$
declare
    key constant bigint := hashtextextended('cryptoviz:tiering', 0);
    patience constant text := current_setting('lock_timeout');
begin
    if shared then
        perform pg_advisory_xact_lock_shared(key);
        return;
    end if;
    loop
        begin
            perform set_config('lock_timeout', '50ms', true);
            perform pg_advisory_xact_lock(key);
            perform set_config('lock_timeout', patience, true);
            return;
        exception when lock_not_available then
            perform pg_sleep(0.02 + 0.06 * random());
        end;
    end loop;
end
$$;
comment on function lock_tiering(boolean) is
    'Shared: rows stay in their tier until the end of the transaction. Else: nobody else moves rows, or relies on it that they stay';
