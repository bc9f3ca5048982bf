-- Completeness: what every UTC day of a series has and lacks, as a sum over candle_gaps. A day counts as far as it was
-- looked at; only rows that change are written, so that keeping a year current costs no more than reading it.

create or replace function refresh_completeness(exchange text, symbol text, timeframe text, since timestamptz,
                                                until timestamptz)
returns bigint
language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(refresh_completeness.timeframe);
    start constant timestamptz := history_start(refresh_completeness.exchange, refresh_completeness.symbol,
                                                refresh_completeness.timeframe, since);
    -- What is known of days that have left the database stays.
    first_day constant timestamptz := date_bin(interval '24 hours', greatest(start, since), 'epoch');
    archived constant tstzmultirange := archived_candles(
        refresh_completeness.exchange, refresh_completeness.symbol, refresh_completeness.timeframe, first_day, until);
    changed bigint;
begin
    with days as materialized (
        select midnight, greatest(until, known.checked_until) as checked_until, known.day is not null as is_known,
               whole_windows(
                   length, greatest(midnight, start, lower(listed)),
                   least(midnight + interval '24 hours', greatest(until, known.checked_until), upper(listed))) as span
        from generate_series(first_day, until - interval '1 microsecond', interval '24 hours') midnight
        left join completeness known
            on known.exchange = refresh_completeness.exchange and known.symbol = refresh_completeness.symbol
           and known.timeframe = refresh_completeness.timeframe and known.day = (midnight at time zone 'UTC')::date
        left join instruments
            on instruments.exchange = refresh_completeness.exchange
           and instruments.pair = refresh_completeness.symbol
        where not midnight <@ archived
    ), lacking as (
        select midnight, label, status,
               extract(epoch from least(gap_end, upper(span)) - greatest(gap_start, lower(span)))
               / extract(epoch from length) as windows
        from candle_gaps
        cross join lateral generate_series(
            date_bin(interval '24 hours', greatest(gap_start, first_day), 'epoch'),
            least(gap_end, (select max(upper(span)) from days)) - interval '1 microsecond',
            interval '24 hours') touched
        join days on days.midnight = touched
        where exchange = refresh_completeness.exchange and symbol = refresh_completeness.symbol
          and timeframe = refresh_completeness.timeframe
          and gap_end > first_day and tstzrange(gap_start, gap_end) && span
    ), sums as (
        select days.midnight, days.checked_until, days.is_known,
               coalesce(extract(epoch from upper(span) - lower(span)) / extract(epoch from length), 0)::bigint as expected,
               coalesce(sum(windows) filter (where status <> 'healed' and label = 'no_trades'), 0)::bigint as no_trades,
               coalesce(sum(windows) filter (where status <> 'healed' and label = 'source_missing'), 0)::bigint
                   as source_missing,
               coalesce(sum(windows) filter (where status <> 'healed' and label = 'lost_by_us'), 0)::bigint as lost_by_us,
               coalesce(sum(windows) filter (where status <> 'healed' and label is null), 0)::bigint as unexplained,
               coalesce(sum(windows) filter (where status = 'healed'), 0)::bigint as healed
        from days
        left join lacking on lacking.midnight = days.midnight
        group by days.midnight, days.checked_until, days.is_known, span
    )
    insert into completeness as known (exchange, symbol, timeframe, day, expected, stored, no_trades, source_missing,
                                       lost_by_us, unexplained, healed, checked_until, updated_at)
    select refresh_completeness.exchange, refresh_completeness.symbol, refresh_completeness.timeframe,
           (sums.midnight at time zone 'UTC')::date, expected,
           expected - no_trades - source_missing - lost_by_us - unexplained, no_trades, source_missing, lost_by_us,
           unexplained, healed, least(checked_until, sums.midnight + interval '24 hours'), now()
    from sums
    where expected > 0 or is_known
    on conflict (exchange, symbol, timeframe, day) do update
        set (expected, stored, no_trades, source_missing, lost_by_us, unexplained, healed, checked_until, updated_at)
            = (excluded.expected, excluded.stored, excluded.no_trades, excluded.source_missing, excluded.lost_by_us,
               excluded.unexplained, excluded.healed, excluded.checked_until, excluded.updated_at)
        where (known.expected, known.stored, known.no_trades, known.source_missing, known.lost_by_us, known.unexplained,
               known.healed, known.checked_until)
              is distinct from
              (excluded.expected, excluded.stored, excluded.no_trades, excluded.source_missing, excluded.lost_by_us,
               excluded.unexplained, excluded.healed, excluded.checked_until);
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function refresh_completeness(text, text, text, timestamptz, timestamptz) is
    'Sums up the days of a range from candle_gaps; only for record_candle_gaps and rule_candle_gaps, which know that these are right. Returns the number of days that changed';
