-- Gaps in the candles, found over any range at the price of counting.
--
--   four days at a time, by index --incomplete--> half a day at a time --incomplete--> window by window -> gaps
--
-- The n candles before an instant are complete exactly if the n-th before it is n windows away: one step along an index
-- for each. Only incomplete half days are looked at window by window, neighbouring ones in one piece, so that a gap over
-- midnight is one gap. Both ends of the range count as candles, so that a gap at an edge is a gap like any other.

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
        select wanted.place
        from unnest(exchanges, symbols, timeframes, ranges) with ordinality
            wanted (exchange, symbol, timeframe, range, place)
        where not isempty(wanted.range) and lower(wanted.range) is distinct from (
            select window_start from candles
            where candles.exchange = wanted.exchange and candles.symbol = wanted.symbol
              and candles.timeframe = wanted.timeframe and window_start < upper(wanted.range)
              and window_start >= since and window_start < until
            order by window_start desc
            offset (extract(epoch from upper(wanted.range) - lower(wanted.range))
                    / extract(epoch from timeframe_length(wanted.timeframe)))::bigint - 1 limit 1
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
