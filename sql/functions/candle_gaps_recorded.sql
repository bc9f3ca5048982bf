-- The rows of candle_gaps: brought in line with the candles, ruled on, forgotten.
--
-- The rows of a series never overlap: together they are every window that was ever missing. A gap that is filled in part
-- becomes several rows; a gap that no exchange was asked about yet grows with what is found beside it.

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

create or replace function gap_waits(status text, due_at timestamptz, asked_at timestamptz, at timestamptz,
                                     silent_since timestamptz)
returns boolean
language sql immutable
as $$
    select status in ('open', 'failed') and due_at <= at or status = 'healing' and asked_at < silent_since
$$;
comment on function gap_waits(text, timestamptz, timestamptz, timestamptz, timestamptz) is
    'Whether the time has come to ask an exchange about a gap: it is due, or whoever claimed it has been silent';

create or replace function candle_gap_is_due(gap candle_gaps, at timestamptz, silent_since timestamptz) returns boolean
language sql stable
as $$
    select gap_waits(gap.status, gap.due_at, gap.asked_at, at, silent_since) and not gap_is_left(gap)
$$;
comment on function candle_gap_is_due(candle_gaps, timestamptz, timestamptz) is
    'Whether to ask an exchange about missing candles: the gap waits, and is not left to others';
