-- Gaps: what of the candles and trades is not there, found over any range at the price of counting.
--
--   four days at a time, by index --incomplete--> half a day at a time --incomplete--> window by window -> gaps
--
-- The n candles before an instant are complete exactly if the n-th before it is n windows away: one step along an index
-- for each. Only incomplete half days are looked at window by window, neighbouring ones in one piece, so that a gap over
-- midnight is one gap. Both ends of the range are taken for candles, so that a gap at an edge is a gap like any other.
--
-- The rows of candle_gaps of a series never overlap: together they are every window that was ever missing. A gap that
-- is filled in part becomes several rows; one that nobody has asked about yet grows with what is found beside it.

create or replace function whole_windows(length interval, since timestamptz, until timestamptz) returns tstzrange
language sql stable
return case
    when date_bin(length, since + length - interval '1 microsecond', 'epoch') < date_bin(length, until, 'epoch')
        then tstzrange(date_bin(length, since + length - interval '1 microsecond', 'epoch'),
                       date_bin(length, until, 'epoch'))
    else 'empty'
end;
comment on function whole_windows(interval, timestamptz, timestamptz) is 'The part of a range that whole windows fill';

create or replace function holes_between(stored timestamptz[], within tstzrange, length interval)
returns table (gap_start timestamptz, gap_end timestamptz, missing bigint)
language sql stable
as $$
    select following, window_start,
           (extract(epoch from window_start - following) / extract(epoch from length))::bigint
    from (
        select window_start, lag(window_start + length, 1, lower(within)) over (order by window_start) as following
        from (select unnest(stored) as window_start union all select upper(within)) ends
    ) steps
    where window_start > following
$$;
comment on function holes_between(timestamptz[], tstzrange, interval) is
    'The windows of a range that are not among those stored, consecutive ones as one';

create or replace function find_candle_gaps(exchange text, symbol text, timeframe text, since timestamptz,
                                            until timestamptz)
returns table (gap_start timestamptz, gap_end timestamptz, missing bigint)
language plpgsql stable
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(find_candle_gaps.timeframe);
    range tstzrange;
    from_ts timestamptz;
    to_ts timestamptz;
    hot_from timestamptz;
    suspects tstzmultirange;
    stored timestamptz[];
    step interval;
begin
    select whole_windows(length, greatest(since, lower(listed)), least(until, upper(listed))) into range
    from (values (1)) as of_any
    left join instruments
        on instruments.exchange = find_candle_gaps.exchange and instruments.pair = find_candle_gaps.symbol;

    from_ts := lower(range);
    to_ts := upper(range);
    if from_ts >= now() - least(interval '1 day', (select min(hot_age) from tiering_policy where subject = 'candles')) then
        -- Nothing that young is cold, and a look there would cost more than all the rest.
        select array_agg(window_start) into stored from candles
        where exchange = find_candle_gaps.exchange and symbol = find_candle_gaps.symbol
          and timeframe = find_candle_gaps.timeframe and window_start >= from_ts and window_start < to_ts;
        return query select * from holes_between(stored, range, length);
        return;
    end if;

    -- A bound that is known before a statement begins lets a hypertable leave out all chunks before it: the hot table
    -- has one for every week of daily candles.
    select window_start into hot_from from candles
    where exchange = find_candle_gaps.exchange and symbol = find_candle_gaps.symbol
      and timeframe = find_candle_gaps.timeframe and window_start >= from_ts and window_start < to_ts
    order by window_start limit 1;
    suspects := tstzmultirange(range);
    -- 1440 windows are a day of minutes, and of other timeframes as much work.
    foreach step in array array[length * 1440 * 4, length * 720] loop
        continue when step > length * 1440 and until - since <= step;
        select range_agg(tstzrange(part.start, part.stop)) into suspects
        from (
            select start, least(start + step, upper(suspect)) as stop,
                   (extract(epoch from least(start + step, upper(suspect)) - start)
                    / extract(epoch from length))::bigint as windows
            from unnest(suspects) suspect, generate_series(lower(suspect), upper(suspect) - length, step) start
        ) part
        left join lateral (
            select window_start from candles
            where exchange = find_candle_gaps.exchange and symbol = find_candle_gaps.symbol
              and timeframe = find_candle_gaps.timeframe and window_start < part.stop and window_start >= hot_from
            order by window_start desc
            offset part.windows - 1 limit 1
        ) hot on true
        left join lateral (
            select window_start from cold_storage.candles
            where exchange = find_candle_gaps.exchange and symbol = find_candle_gaps.symbol
              and timeframe = find_candle_gaps.timeframe and window_start < part.stop
            order by window_start desc
            offset part.windows - 1 limit 1
        ) cold on true
        where hot.window_start is distinct from part.start and cold.window_start is distinct from part.start;
        exit when suspects is null;
    end loop;

    return query
    select hole.*
    from unnest(suspects) suspect
    cross join lateral (
        select array_agg(window_start) as windows
        from (
            select window_start from candles
            where exchange = find_candle_gaps.exchange and symbol = find_candle_gaps.symbol
              and timeframe = find_candle_gaps.timeframe
              and window_start >= lower(suspect) and window_start < upper(suspect)
              and window_start >= hot_from and window_start < to_ts
            union all
            select window_start from cold_storage.candles
            where exchange = find_candle_gaps.exchange and symbol = find_candle_gaps.symbol
              and timeframe = find_candle_gaps.timeframe
              and window_start >= lower(suspect) and window_start < upper(suspect)
        ) both_tiers
    ) kept
    cross join lateral holes_between(kept.windows, suspect, length) hole
    order by hole.gap_start;
end
$$;
comment on function find_candle_gaps(text, text, text, timestamptz, timestamptz) is
    'The gaps in the candles of one series, hot and cold, among the whole windows of a range while the pair was listed';

-- To rule out a chunk anew for every step costs more than a look into its index that finds nothing.
do $$
begin
    if exists (select from pg_extension where extname = 'timescaledb') then
        alter function find_candle_gaps(text, text, text, timestamptz, timestamptz)
            set timescaledb.enable_runtime_exclusion = off;
    end if;
end
$$;

create or replace function find_candle_gaps(exchanges text[], symbols text[], timeframes text[], since timestamptz,
                                            until timestamptz)
returns table (exchange text, symbol text, timeframe text, gap_start timestamptz, gap_end timestamptz, missing bigint)
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
declare
    ranges tstzrange[];
    number integer;
begin
    ranges := array(
        select whole_windows(timeframe_length(series.timeframe), greatest(since, lower(listed)),
                             least(until, upper(listed)))
        from unnest(exchanges, symbols, timeframes) with ordinality series (exchange, symbol, timeframe, place)
        left join instruments on instruments.exchange = series.exchange and instruments.pair = series.symbol
        order by series.place
    );
    for number in
        select asked.place
        from unnest(exchanges, symbols, timeframes, ranges) with ordinality
            asked (exchange, symbol, timeframe, range, place)
        where not isempty(asked.range) and lower(asked.range) is distinct from (
            select window_start from candles
            where candles.exchange = asked.exchange and candles.symbol = asked.symbol
              and candles.timeframe = asked.timeframe and window_start < upper(asked.range)
              and window_start >= since and window_start < until
            order by window_start desc
            offset (extract(epoch from upper(asked.range) - lower(asked.range))
                    / extract(epoch from timeframe_length(asked.timeframe)))::bigint - 1 limit 1
        )
    loop
        return query
        select exchanges[number], symbols[number], timeframes[number], gap.*
        from find_candle_gaps(exchanges[number], symbols[number], timeframes[number], since, until) gap;
    end loop;
end
$$;
comment on function find_candle_gaps(text[], text[], text[], timestamptz, timestamptz) is
    'The gaps in many series at once; what is complete in the hot table costs a step along an index and no more';

create or replace function archived_candles(exchange text, symbol text, timeframe text, since timestamptz,
                                            until timestamptz)
returns tstzmultirange
language sql stable
as $$
    select coalesce(range_agg(tstzrange(files.since, files.until)), '{}')
    from archive_files files
    where files.subject = 'candles' and files.restored_until is null
      and files.exchange = archived_candles.exchange and files.symbol = archived_candles.symbol
      and files.timeframe = archived_candles.timeframe
      and files.since < archived_candles.until and files.until > archived_candles.since
$$;
comment on function archived_candles(text, text, text, timestamptz, timestamptz) is
    'What of a range of a series has left the database for the archive, whatever the ages say today';

create or replace function history_start(exchange text, symbol text, timeframe text, since timestamptz)
returns timestamptz
language plpgsql stable
set jit = off
as $$
#variable_conflict use_column
declare
    start timestamptz;
begin
    -- To find the first candle means to look into every chunk there is.
    if exists (
        select from completeness
        where exchange = history_start.exchange and symbol = history_start.symbol
          and timeframe = history_start.timeframe and day < (since at time zone 'UTC')::date
    ) then
        start := date_bin(interval '24 hours', since, 'epoch');
    else
        start := least(
            (select window_start from candles
             where exchange = history_start.exchange and symbol = history_start.symbol
               and timeframe = history_start.timeframe
             order by window_start limit 1),
            (select window_start from cold_storage.candles
             where exchange = history_start.exchange and symbol = history_start.symbol
               and timeframe = history_start.timeframe
             order by window_start limit 1),
            (select start_ts from backfill_progress
             where exchange = history_start.exchange and symbol = history_start.symbol
               and timeframe = history_start.timeframe));
        if start is null then
            return null;
        end if;
        start := greatest(start, date_bin(interval '24 hours', greatest(start, since), 'epoch'));
    end if;
    return greatest(start, (
        select date_bin(interval '24 hours', now() - greatest(hot_age + cold_age, history_age) + interval '24 hours', 'epoch')
        from tiering_policy
        where subject = 'candles' and timeframe = history_start.timeframe and hot_age + cold_age is not null));
end
$$;
comment on function history_start(text, text, text, timestamptz) is
    'From when on, but not before the midnight before an instant, a series is to be complete here: its first candle or the beginning of its backfill, but no day that has left the database';

create or replace function forget_candle_gaps(exchange text, symbol text, timeframe text, since timestamptz,
                                              until timestamptz)
returns void
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    known candle_gaps[];
begin
    perform lock_gaps(forget_candle_gaps.exchange, forget_candle_gaps.symbol, forget_candle_gaps.timeframe);
    known := array(
        select candle_gaps from candle_gaps
        where exchange = forget_candle_gaps.exchange and symbol = forget_candle_gaps.symbol
          and timeframe = forget_candle_gaps.timeframe and status = 'open' and label is null and attempts = 0
          and gap_start < until and gap_end > since
    );
    perform replace_candle_gaps(known, array(
        select gap_part(gap, part)
        from unnest(known) gap,
             unnest(tstzmultirange(tstzrange(gap.gap_start, gap.gap_end)) - tstzmultirange(tstzrange(since, until))) part
    ));
end
$$;
comment on function forget_candle_gaps(text, text, text, timestamptz, timestamptz) is
    'Forgets what is missing in a range and was never asked for: there a backfill has just brought the first candles there ever were. What is still missing is found again';

create or replace function gap_part(gap candle_gaps, part tstzrange) returns candle_gaps
language plpgsql immutable
as $$
begin
    gap.gap_start := lower(part);
    gap.gap_end := upper(part);
    gap.missing := extract(epoch from gap.gap_end - gap.gap_start) / extract(epoch from timeframe_length(gap.timeframe));
    return gap;
end
$$;

create or replace function replace_candle_gaps(known candle_gaps[], wanted candle_gaps[]) returns setof candle_gaps
language sql
set jit = off
as $$
    delete from candle_gaps using unnest(known) gone
    where candle_gaps.exchange = gone.exchange and candle_gaps.symbol = gone.symbol
      and candle_gaps.timeframe = gone.timeframe and candle_gaps.gap_start = gone.gap_start
      and gone.gap_start <> all (select gap_start from unnest(wanted));

    insert into candle_gaps as stored
    select * from unnest(wanted)
    on conflict (exchange, symbol, timeframe, gap_start) do update
        set (gap_end, missing, label, status, attempts, detected_at, healed_at, detail, received_at, confirmations,
             asked_at, due_at)
            = (excluded.gap_end, excluded.missing, excluded.label, excluded.status, excluded.attempts,
               excluded.detected_at, excluded.healed_at, excluded.detail, now(), excluded.confirmations,
               excluded.asked_at, excluded.due_at)
        where (stored.gap_end, stored.label, stored.status, stored.attempts, stored.detected_at, stored.healed_at,
               stored.detail, stored.confirmations, stored.asked_at, stored.due_at)
              is distinct from
              (excluded.gap_end, excluded.label, excluded.status, excluded.attempts, excluded.detected_at,
               excluded.healed_at, excluded.detail, excluded.confirmations, excluded.asked_at, excluded.due_at)
    returning *;
$$;

create or replace function record_candle_gaps(exchange text, symbol text, timeframe text, since timestamptz,
                                              until timestamptz)
returns setof candle_gaps
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(record_candle_gaps.timeframe);
    start constant timestamptz := history_start(record_candle_gaps.exchange, record_candle_gaps.symbol,
                                                record_candle_gaps.timeframe, since);
    looked constant tstzrange := whole_windows(length, start, least(until, now()));
    listed tstzmultirange;
    unlisted tstzmultirange;
    archived tstzmultirange;
    filled tstzmultirange;
    fresh tstzmultirange;
    lacking tstzmultirange;
    holes tstzrange[];
    known candle_gaps[];
    reopened candle_gaps[];
    wanted candle_gaps[] := '{}';
    gap candle_gaps;
    piece candle_gaps;
    part tstzrange;
    quiet boolean;
begin
    if start is null or isempty(looked) then
        return;
    end if;
    perform lock_gaps(record_candle_gaps.exchange, record_candle_gaps.symbol, record_candle_gaps.timeframe);

    select coalesce(tstzmultirange(looked * instruments.listed), tstzmultirange(looked)) into listed
    from (values (1)) as of_any
    left join instruments
        on instruments.exchange = record_candle_gaps.exchange and instruments.pair = record_candle_gaps.symbol;
    unlisted := tstzmultirange(looked) - listed;
    archived := archived_candles(record_candle_gaps.exchange, record_candle_gaps.symbol, record_candle_gaps.timeframe,
                                 lower(looked), upper(looked));

    holes := array(
        select unnest(tstzmultirange(tstzrange(gap_start, gap_end)) - archived)
        from find_candle_gaps(record_candle_gaps.exchange, record_candle_gaps.symbol, record_candle_gaps.timeframe,
                              lower(looked), upper(looked))
    );
    -- Nearly always nothing has changed: only what is not known exactly as it was found is worth a thought.
    known := array(
        select candle_gaps from candle_gaps
        where exchange = record_candle_gaps.exchange and symbol = record_candle_gaps.symbol
          and timeframe = record_candle_gaps.timeframe and status <> 'healed'
          and gap_start <= upper(looked) and gap_end >= lower(looked)
          and (gap_start, gap_end) not in (select lower(hole), upper(hole) from unnest(holes) hole)
    );
    holes := array(
        select hole from unnest(holes) hole
        where (lower(hole), upper(hole)) not in (
            select gap_start, gap_end from candle_gaps
            where exchange = record_candle_gaps.exchange and symbol = record_candle_gaps.symbol
              and timeframe = record_candle_gaps.timeframe and status <> 'healed'
        )
    );
    filled := listed - archived - coalesce((select range_agg(hole) from unnest(holes) hole), '{}');
    fresh := coalesce((select range_agg(hole) from unnest(holes) hole), '{}')
             - coalesce((select range_agg(tstzrange(gap_start, gap_end)) from unnest(known)), '{}');
    reopened := array(
        select distinct healed from unnest(fresh) hole
        cross join lateral (
            select candle_gaps as healed from candle_gaps
            where exchange = record_candle_gaps.exchange and symbol = record_candle_gaps.symbol
              and timeframe = record_candle_gaps.timeframe and status = 'healed'
              and gap_start < upper(hole)
              and gap_start >= coalesce(
                  (select max(gap_start) from candle_gaps
                   where exchange = record_candle_gaps.exchange and symbol = record_candle_gaps.symbol
                     and timeframe = record_candle_gaps.timeframe and gap_start < lower(hole)), lower(hole))
              and gap_end > lower(hole)
        ) overlapping
    );

    foreach gap in array reopened loop
        for part in select unnest(tstzmultirange(tstzrange(gap.gap_start, gap.gap_end)) - fresh) loop
            wanted := wanted || gap_part(gap, part);
        end loop;
    end loop;
    foreach gap in array known loop
        lacking := tstzmultirange(tstzrange(gap.gap_start, gap.gap_end)) - filled - unlisted;
        if gap.status = 'open' and gap.label is null and gap.attempts = 0 then
            fresh := fresh + (lacking - archived);
            for part in select unnest(lacking * archived) loop
                wanted := wanted || gap_part(gap, part);
            end loop;
        else
            for part in select unnest(lacking) loop
                wanted := wanted || gap_part(gap, part);
            end loop;
        end if;
        for part in select unnest(tstzmultirange(tstzrange(gap.gap_start, gap.gap_end)) * unlisted) loop
            piece := gap_part(gap, part);
            piece.label := 'source_missing';
            piece.status := 'explained';
            piece.healed_at := coalesce(gap.healed_at, now());
            piece.due_at := null;
            piece.detail := gap.detail || '{"reason": "not listed"}';
            wanted := wanted || piece;
        end loop;
        for part, quiet in
            select tstzrange(min(window_start), max(window_start) + length), empty
            from (
                select window_start, empty,
                       window_start - length * row_number() over (partition by empty order by window_start) as run
                from (
                    select window_start, bool_and(volume = 0) as empty
                    from unnest(tstzmultirange(tstzrange(gap.gap_start, gap.gap_end)) * filled) healed
                    join all_candles
                        on exchange = gap.exchange and symbol = gap.symbol and timeframe = gap.timeframe
                       and window_start >= lower(healed) and window_start < upper(healed)
                       and window_start >= lower(looked) and window_start < upper(looked)
                    group by window_start
                ) windows
            ) runs
            group by run, empty
        loop
            piece := gap_part(gap, part);
            piece.label := case when quiet then 'no_trades' else coalesce(nullif(gap.label, 'no_trades'), 'lost_by_us') end;
            piece.status := 'healed';
            piece.healed_at := now();
            piece.due_at := null;
            wanted := wanted || piece;
        end loop;
    end loop;
    for part in select unnest(fresh) loop
        piece := row(
            record_candle_gaps.exchange, record_candle_gaps.symbol, record_candle_gaps.timeframe, lower(part),
            upper(part), 1, null, 'open', 0, now(), null, '{}', now(), 0, null, now()
        )::candle_gaps;
        foreach gap in array known loop
            if gap.status = 'open' and gap.label is null and gap.attempts = 0
               and tstzrange(gap.gap_start, gap.gap_end) && part then
                piece.detected_at := least(piece.detected_at, gap.detected_at);
                piece.due_at := least(piece.due_at, gap.due_at);
            end if;
        end loop;
        wanted := wanted || gap_part(piece, part);
    end loop;

    return query select * from replace_candle_gaps(known || reopened, wanted);
    perform refresh_completeness(record_candle_gaps.exchange, record_candle_gaps.symbol, record_candle_gaps.timeframe,
                                 lower(looked), upper(looked));
end
$$;
comment on function record_candle_gaps(text, text, text, timestamptz, timestamptz) is
    'Brings candle_gaps and completeness in line with the candles of a range, from its first midnight on: what is new, has grown, is filled in part or whole; labels are kept. Returns the rows it changed';

create or replace function rule_candle_gaps(exchange text, symbol text, timeframe text, starts timestamptz[],
                                            ends timestamptz[], labels text[], statuses text[], confirmations integer[],
                                            due_at timestamptz[], details jsonb[])
returns setof candle_gaps
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    known candle_gaps[];
    wanted candle_gaps[] := '{}';
    gap candle_gaps;
    piece candle_gaps;
    ruling record;
    part tstzrange;
    ruled tstzmultirange;
begin
    perform lock_gaps(rule_candle_gaps.exchange, rule_candle_gaps.symbol, rule_candle_gaps.timeframe);
    select range_agg(tstzrange(first, last)) into ruled from unnest(starts, ends) spans (first, last);
    known := array(
        select candle_gaps from candle_gaps
        where exchange = rule_candle_gaps.exchange and symbol = rule_candle_gaps.symbol
          and timeframe = rule_candle_gaps.timeframe and status <> 'healed'
          and ruled && tstzrange(gap_start, gap_end)
    );
    foreach gap in array known loop
        for part in select unnest(tstzmultirange(tstzrange(gap.gap_start, gap.gap_end)) - ruled) loop
            wanted := wanted || gap_part(gap, part);
        end loop;
        for ruling in
            select tstzrange(gap.gap_start, gap.gap_end) * tstzrange(first, last) as part, given.*
            from unnest(starts, ends, labels, statuses, rule_candle_gaps.confirmations, rule_candle_gaps.due_at, details)
                given (first, last, label, status, confirmations, due_at, detail)
            where tstzrange(gap.gap_start, gap.gap_end) && tstzrange(first, last)
        loop
            piece := gap_part(gap, ruling.part);
            piece.label := ruling.label;
            piece.status := ruling.status;
            piece.confirmations := ruling.confirmations;
            piece.due_at := ruling.due_at;
            piece.detail := gap.detail || ruling.detail;
            piece.healed_at := case when ruling.status = 'explained' then now() end;
            wanted := wanted || piece;
        end loop;
    end loop;
    return query select * from replace_candle_gaps(known, wanted);
    perform refresh_completeness(rule_candle_gaps.exchange, rule_candle_gaps.symbol, rule_candle_gaps.timeframe,
                                 lower(ruled), upper(ruled));
end
$$;
comment on function rule_candle_gaps(text, text, text, timestamptz[], timestamptz[], text[], text[], integer[],
                                     timestamptz[], jsonb[]) is
    'Writes down what became known of stretches that are still missing: label, status, confirmations, when to ask again. Returns the rows it changed';

create or replace function gap_is_left(gap candle_gaps) returns boolean
language sql stable
as $$
    select gap.gap_end <= coalesce(
               (select now() - greatest(hot_age + cold_age, history_age) from tiering_policy
                where subject = 'candles' and timeframe = gap.timeframe and hot_age + cold_age is not null), '-infinity')
        or tstzrange(gap.gap_start, gap.gap_end)
           <@ archived_candles(gap.exchange, gap.symbol, gap.timeframe, gap.gap_start, gap.gap_end)
        or exists (
            select from backfill_progress backfill
            where backfill.exchange = gap.exchange and backfill.symbol = gap.symbol
              -- 5m and 15m are made of the minutes that are fetched, and so is what is longer before its own turn.
              and (backfill.timeframe = case when gap.timeframe in ('5m', '15m') then '1m' else gap.timeframe end
                   or backfill.timeframe = '1m' and backfill.status = 'in_progress' and not exists (
                       select from backfill_progress own
                       where own.exchange = gap.exchange and own.symbol = gap.symbol
                         and own.timeframe = gap.timeframe and own.status = 'completed'))
              and backfill.status <> 'completed'
              and gap.gap_start < coalesce(backfill.covered_from, backfill.end_ts)
              and gap.gap_end > coalesce(backfill.published_ts, backfill.start_ts))
        or exists (
            select from trade_gaps waiting
            where waiting.exchange = gap.exchange and waiting.pair = gap.symbol and waiting.made_after is null
              and waiting.status in ('open', 'healing') and waiting.detected_at > now() - interval '1 hour'
              and waiting.received_at > now() - interval '15 minutes')
$$;
comment on function gap_is_left(candle_gaps) is
    'Whether nobody should ask about a gap: it has left the database, a backfill has it before it, or the collector is fetching trades of the pair';

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
            ) one
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
    part int8range;
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
        for part in
            select unnest(int8multirange(int8range(gap.first_missing_id, gap.last_missing_id, '[]')) * holes)
        loop
            piece := gap;
            piece.first_missing_id := lower(part);
            piece.last_missing_id := upper(part) - 1;
            select hole.made_after, hole.made_before into piece.made_after, piece.made_before
            from unnest(found) hole
            where lower(part) between hole.first_missing_id and hole.last_missing_id;
            continue when piece.made_after < collected_since;
            wanted := wanted || piece;
        end loop;
        for part in
            select unnest(int8multirange(int8range(gap.first_missing_id, gap.last_missing_id, '[]')) - holes)
        loop
            piece := gap;
            piece.first_missing_id := lower(part);
            piece.last_missing_id := upper(part) - 1;
            piece.label := coalesce(gap.label, 'lost_by_us');
            piece.status := 'healed';
            piece.healed_at := now();
            piece.due_at := null;
            wanted := wanted || piece;
        end loop;
    end loop;
    foreach gap in array found loop
        continue when gap.made_after < collected_since or trade_gap_is_left(gap);
        for part in
            select unnest(
                int8multirange(int8range(gap.first_missing_id, gap.last_missing_id, '[]'))
                - coalesce((select range_agg(int8range(first_missing_id, last_missing_id, '[]')) from trade_gaps
                            where exchange = record_trade_gaps.exchange and pair = record_trade_gaps.pair
                              and status <> 'healed'), '{}'))
        loop
            piece := gap;
            piece.first_missing_id := lower(part);
            piece.last_missing_id := upper(part) - 1;
            wanted := wanted || piece;
        end loop;
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
