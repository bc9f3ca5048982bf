-- Gaps in the trades: ids that are missing between stored ones, and the rows of trade_gaps that describe them.

create or replace function find_trade_gaps(exchange text, pair text, since timestamptz, until timestamptz)
returns table (first_missing_id bigint, last_missing_id bigint, made_after timestamptz, made_before timestamptz)
language plpgsql stable
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    -- Near an edge the order of ids is not that of timestamps: what seems to be missing may lie a moment outside.
    margin constant interval := interval '1 minute';
    before_range constant timestamptz := (
        select "timestamp" from trade_data
        where exchange = find_trade_gaps.exchange and pair = find_trade_gaps.pair and "timestamp" < since
        order by "timestamp" desc limit 1);
    after_range constant timestamptz := (
        select "timestamp" from trade_data
        where exchange = find_trade_gaps.exchange and pair = find_trade_gaps.pair and "timestamp" >= until
        order by "timestamp" limit 1);
begin
    return query
    with parts as materialized (
        select part.start, part.stop, part.place, ids.lowest, ids.highest,
               ids.stored = ids.highest - ids.lowest + 1 as complete
        from (
            select before_range - margin as start, since as stop, -1 as place
            union all
            select start, least(start + interval '1 hour', until), 0
            from generate_series(since, until - interval '1 microsecond', interval '1 hour') start
            union all
            select until, after_range + margin, 1
        ) part
        cross join lateral (
            select min(trade_id) as lowest, max(trade_id) as highest, count(*) as stored from trade_data
            where exchange = find_trade_gaps.exchange and pair = find_trade_gaps.pair
              and "timestamp" >= part.start and "timestamp" < part.stop
        ) ids
        where ids.stored > 0
    ), present as (
        select range_agg(int8range(lowest, highest, '[]')) as ids
        from (
            select lowest, highest from parts where complete
            union all
            select trade_id, trade_id
            from parts
            cross join lateral (
                select trade_id from trade_data
                where exchange = find_trade_gaps.exchange and pair = find_trade_gaps.pair
                  and "timestamp" >= parts.start and "timestamp" < parts.stop
            ) stored
            where not complete
        ) stretches
    ), span as (
        select int8range(coalesce(max(highest) filter (where place = -1), min(lowest)),
                         coalesce(min(lowest) filter (where place = 1), max(highest))) as ids
        from parts
    )
    select lower(hole), upper(hole) - 1, neighbour.made_after, neighbour.made_before
    from span
    cross join present
    cross join lateral unnest(int8multirange(span.ids) - present.ids) hole
    cross join lateral (
        select min("timestamp") filter (where trade_id = lower(hole) - 1) as made_after,
               max("timestamp") filter (where trade_id = upper(hole)) as made_before
        from parts
        join trade_data
            on exchange = find_trade_gaps.exchange and pair = find_trade_gaps.pair
           and "timestamp" >= parts.start and "timestamp" < parts.stop
        where trade_id in (lower(hole) - 1, upper(hole))
          and (lower(hole) - 1 between parts.lowest and parts.highest
               or upper(hole) between parts.lowest and parts.highest)
    ) neighbour
    order by 1;
end
$$;
comment on function find_trade_gaps(text, text, timestamptz, timestamptz) is
    'The trade ids of one pair that are missing in a range or across one of its edges, and the times of the trades next to each gap';

create or replace function trade_gap_is_left(gap trade_gaps) returns boolean
language sql stable
as $$
    select gap.made_after is not null and (
        not exists (
            select from trade_data
            where exchange = gap.exchange and pair = gap.pair and "timestamp" <= gap.made_after)
        or exists (
            select from archive_files
            where subject = 'trade_data' and restored_until is null
              and since < gap.made_before and until > gap.made_after))
$$;
comment on function trade_gap_is_left(trade_gaps) is
    'Whether trades beside or within a gap have left the database, so that nothing more can be said of it';

create or replace function trade_gap_is_due(gap trade_gaps, at timestamptz, silent_since timestamptz) returns boolean
language sql stable
as $$
    select gap.made_after is not null and gap.made_before is not null
       and gap_waits(gap.status, gap.due_at, gap.asked_at, at, silent_since)
       and not trade_gap_is_left(gap)
$$;
comment on function trade_gap_is_due(trade_gaps, timestamptz, timestamptz) is
    'Whether to ask an exchange about missing trades: the gap waits, it is not the collector''s, and its trades have not left the database';

create or replace function trade_gap_parts(gap trade_gaps, ids int8multirange) returns setof trade_gaps
language plpgsql immutable
as $$
declare
    part int8range;
begin
    for part in select unnest(int8multirange(int8range(gap.first_missing_id, gap.last_missing_id, '[]')) * ids) loop
        gap.first_missing_id := lower(part);
        gap.last_missing_id := upper(part) - 1;
        return next gap;
    end loop;
end
$$;
comment on function trade_gap_parts(trade_gaps, int8multirange) is
    'The parts of a gap whose ids are among these, each a gap of its own that is like the whole in all else';

create or replace function record_trade_gaps(exchange text, pair text, since timestamptz, until timestamptz)
returns setof trade_gaps
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    collected_since constant timestamptz := coalesce(
        (select collector_position.since from collector_position
         where exchange = record_trade_gaps.exchange and pair = record_trade_gaps.pair), '-infinity');
    holes int8multirange;
    found trade_gaps[];
    known trade_gaps[];
    wanted trade_gaps[] := '{}';
    gap trade_gaps;
    piece trade_gaps;
    all_ids constant int8multirange := '{(,)}';
begin
    perform lock_gaps(record_trade_gaps.exchange, record_trade_gaps.pair, 'trades');
    found := array(
        select row(record_trade_gaps.exchange, record_trade_gaps.pair, hole.first_missing_id, hole.last_missing_id, null,
                   'open', 0, now(), null, '{}', now(), 0, null, now(), hole.made_after, hole.made_before)::trade_gaps
        from find_trade_gaps(record_trade_gaps.exchange, record_trade_gaps.pair, since, until) hole
    );
    holes := coalesce((select range_agg(int8range(first_missing_id, last_missing_id, '[]')) from unnest(found)), '{}');
    -- Rows without a time are the collector's: it knows best what it still waits for, and closes them itself.
    known := array(
        select trade_gaps from trade_gaps
        where exchange = record_trade_gaps.exchange and pair = record_trade_gaps.pair and status <> 'healed'
          and made_before >= since and made_after < until and not trade_gap_is_left(trade_gaps)
    );
    foreach gap in array known loop
        for piece in select * from trade_gap_parts(gap, holes) loop
            select hole.made_after, hole.made_before into piece.made_after, piece.made_before
            from unnest(found) hole
            where piece.first_missing_id between hole.first_missing_id and hole.last_missing_id;
            continue when piece.made_after < collected_since;
            wanted := wanted || piece;
        end loop;
        for piece in select * from trade_gap_parts(gap, all_ids - holes) loop
            piece.label := coalesce(gap.label, 'lost_by_us');
            piece.status := 'healed';
            piece.healed_at := now();
            piece.due_at := null;
            wanted := wanted || piece;
        end loop;
    end loop;
    foreach gap in array found loop
        continue when gap.made_after < collected_since or trade_gap_is_left(gap);
        wanted := wanted || array(
            select part
            from trade_gap_parts(gap, all_ids - coalesce(
                (select range_agg(int8range(first_missing_id, last_missing_id, '[]')) from trade_gaps
                 where exchange = record_trade_gaps.exchange and pair = record_trade_gaps.pair
                   and status <> 'healed'), '{}')) part
        );
    end loop;
    return query select * from replace_trade_gaps(known, wanted);
end
$$;
comment on function record_trade_gaps(text, text, timestamptz, timestamptz) is
    'Brings trade_gaps in line with the trades of a range, but for what the collector is at work on, what lies before its pair was collected, and what has left the database. Returns the rows it changed';

create or replace function replace_trade_gaps(known trade_gaps[], wanted trade_gaps[]) returns setof trade_gaps
language sql
set jit = off
as $$
    delete from trade_gaps using unnest(known) gone
    where trade_gaps.exchange = gone.exchange and trade_gaps.pair = gone.pair
      and trade_gaps.first_missing_id = gone.first_missing_id
      and gone.first_missing_id <> all (select first_missing_id from unnest(wanted));

    insert into trade_gaps as stored
    select * from unnest(wanted)
    on conflict (exchange, pair, first_missing_id) do update
        set (last_missing_id, label, status, attempts, detected_at, healed_at, detail, received_at, confirmations,
             asked_at, due_at, made_after, made_before)
            = (excluded.last_missing_id, excluded.label, excluded.status, excluded.attempts, excluded.detected_at,
               excluded.healed_at, excluded.detail, now(), excluded.confirmations, excluded.asked_at, excluded.due_at,
               excluded.made_after, excluded.made_before)
        where (stored.last_missing_id, stored.label, stored.status, stored.attempts, stored.detected_at,
               stored.healed_at, stored.detail, stored.confirmations, stored.asked_at, stored.due_at,
               stored.made_after, stored.made_before)
              is distinct from
              (excluded.last_missing_id, excluded.label, excluded.status, excluded.attempts, excluded.detected_at,
               excluded.healed_at, excluded.detail, excluded.confirmations, excluded.asked_at, excluded.due_at,
               excluded.made_after, excluded.made_before)
    returning *;
$$;
