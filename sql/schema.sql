-- Generated from sql/migrations and sql/functions by `python -m cryptoviz.stack.snapshot`.

CREATE SCHEMA cold_storage;

CREATE TYPE public.dated_bigint AS (
	value bigint,
	at timestamp with time zone
);

CREATE TYPE public.dated_double_precision AS (
	value double precision,
	at timestamp with time zone
);

CREATE TYPE public.dated_numeric AS (
	value numeric,
	at timestamp with time zone
);

CREATE TYPE public.dated_text AS (
	value text,
	at timestamp with time zone
);

CREATE FUNCTION public.advance_indicators(of_timeframe text, moment timestamp with time zone) RETURNS TABLE(exchange text, symbol text)
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_nestloop TO 'off'
    AS $$
declare
    before constant timestamptz := moment - timeframe_length(of_timeframe);
    renews constant boolean := moment = date_bin(1000 * timeframe_length(of_timeframe), moment, 'epoch');
begin
    perform lock_indicators();
    return query
    with due as materialized (
        select due.exchange, due.symbol, due.momentum_10, due.state
        from next_indicators(of_timeframe, before, moment, renews) due
        where not exists (
            select from indicators written
            where written.window_start = moment and written.exchange = due.exchange and written.symbol = due.symbol
              and written.timeframe = of_timeframe
        )
    ), kept as (
        update indicator_states
        set (window_start, state) = (moment, due.state)
        from due
        where indicator_states.exchange = due.exchange and indicator_states.symbol = due.symbol
          and indicator_states.timeframe = of_timeframe
    )
    insert into indicators as stored (window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal,
                                      macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower, momentum_10,
                                      state)
    select moment, due.exchange, due.symbol, of_timeframe, relative_strength(state[1], state[2]), state[3] - state[4],
           state[5], state[3] - state[4] - state[5], state[6] / 20 + band_width(state[7]), state[6] / 20,
           state[6] / 20 - band_width(state[7]), momentum_10, case when renews then state end
    from due
    returning stored.exchange, stored.symbol;
end
$$;

COMMENT ON FUNCTION public.advance_indicators(of_timeframe text, moment timestamp with time zone) IS 'Computes and writes the indicators of the candles that start at a moment, for every series of a timeframe that has the state of the candle before; returns those series';

CREATE FUNCTION public.archive_digest(relation regclass, condition text, OUT rows bigint, OUT digest numeric) RETURNS record
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
begin
    execute format('select count(*), coalesce(sum(hash_record_extended(held, 0)), 0) from %s held where %s',
                   relation, condition)
    into rows, digest;
end
$$;

COMMENT ON FUNCTION public.archive_digest(relation regclass, condition text, OUT rows bigint, OUT digest numeric) IS 'How many rows of a table meet a condition, and what they come to';

CREATE FUNCTION public.archive_oldest(relation regclass, time_column name, since timestamp with time zone, until timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    AS $_$
declare
    oldest timestamptz;
begin
    execute format('select %1$I from %2$s where %1$I >= $1 and %1$I < $2 order by %1$I limit 1', time_column, relation)
    into oldest
    using since, until;
    return oldest;
end
$_$;

COMMENT ON FUNCTION public.archive_oldest(relation regclass, time_column name, since timestamp with time zone, until timestamp with time zone) IS 'The time of the oldest row of a table in a range; null: it has none';

CREATE FUNCTION public.archive_where(time_column name, since timestamp with time zone, until timestamp with time zone, series jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN (format('%I >= %L and %I < %L'::text, time_column, since, time_column, until) || COALESCE((SELECT string_agg(format(' and %I = %L'::text, jsonb_each_text.key, jsonb_each_text.value), ''::text ORDER BY jsonb_each_text.key) AS string_agg FROM jsonb_each_text(archive_where.series) jsonb_each_text(key, value)), ''::text));

COMMENT ON FUNCTION public.archive_where(time_column name, since timestamp with time zone, until timestamp with time zone, series jsonb) IS 'The condition that selects the rows of a range, of one series (column -> value) or of all';

CREATE FUNCTION public.archived_candles(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS tstzmultirange
    LANGUAGE sql STABLE
    AS $$
    select coalesce(range_agg(tstzrange(files.since, files.until)), '{}')
    from archive_files files
    where files.subject = 'candles' and files.restored_until is null
      and files.exchange = archived_candles.exchange and files.symbol = archived_candles.symbol
      and files.timeframe = archived_candles.timeframe
      and files.since < archived_candles.until and files.until > archived_candles.since
$$;

COMMENT ON FUNCTION public.archived_candles(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'What of a range of a series has left the database for the archive, whatever the ages say today';

CREATE FUNCTION public.band_width(squares double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((2)::double precision * sqrt((squares / (20)::double precision)));

CREATE FUNCTION public.candle_corrections(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone, reopen boolean DEFAULT false) RETURNS TABLE(bucket timestamp with time zone, action text, tier text, open numeric, high numeric, low numeric, close numeric, volume numeric, trade_count bigint, differs boolean, was_closed boolean, closes boolean, kept_open numeric, kept_high numeric, kept_low numeric, kept_close numeric, kept_volume numeric, kept_count bigint)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_nestloop TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(timeframe);
    part constant text := case timeframe when '5m' then '1m' when '15m' then '5m' when '1h' then '15m' when '1d' then '1h' end;
    from_ts constant timestamptz := date_bin(length, since, 'epoch');
    to_ts constant timestamptz := date_bin(length, until + length - interval '1 microsecond', 'epoch');
    known constant timestamptz[] := array(
        select windows.window_start
        from known_windows(exchange, symbol, candle_corrections.timeframe, from_ts, to_ts) windows
        where windows.known_minutes = whole_minutes(candle_corrections.timeframe));
    -- Of what has moved to the archive a few may have come later: they are not the whole.
    gone constant tstzmultirange := (
        select coalesce(range_agg(tstzrange(first_at, last_at, '[]')), '{}') from archive_files files
        where files.subject = 'candles' and files.exchange = candle_corrections.exchange
          and files.symbol = candle_corrections.symbol and files.timeframe = part and first_at < to_ts
          and last_at >= from_ts);
    oldest timestamptz;
begin
    if reopen and exists (select from archive_files where subject = 'trade_data') then
        -- Whether the first minute that is left was whole nobody can say any more.
        oldest := (select date_trunc('minute', "timestamp") from trade_data
                   where trade_data.exchange = candle_corrections.exchange and pair = candle_corrections.symbol
                   order by "timestamp" limit 1);
    end if;

    return query
    with parts as materialized (
        select distinct on (window_start) date_bin(length, window_start, 'epoch') as bucket, window_start, open, high,
               low, close, volume, trade_count, traded(volume, trade_count) as has_trades
        from all_candles
        where exchange = candle_corrections.exchange and symbol = candle_corrections.symbol
          and timeframe = coalesce(part, candle_corrections.timeframe) and window_start >= from_ts and window_start < to_ts
        order by window_start, source = 'rest' desc, tier desc
    ), computed as materialized (
        select bucket,
               coalesce((array_agg(open order by window_start) filter (where has_trades))[1],
                        (array_agg(open order by window_start))[1]) as open,
               coalesce(max(high) filter (where has_trades), max(high)) as high,
               coalesce(min(low) filter (where has_trades), min(low)) as low,
               coalesce((array_agg(close order by window_start desc) filter (where has_trades))[1],
                        (array_agg(close order by window_start desc))[1]) as close,
               sum(volume) as volume,
               summed_trades(sum(trade_count), bool_or(volume > 0 and trade_count = 0)) as trade_count
        from parts
        group by bucket
    ), made as materialized (
        select computed.*, parts_left, bucket + length <= now() and bucket = any (known) and not parts_left as known
        from computed
        cross join lateral (select gone && tstzrange(bucket, bucket + length) as parts_left) archived
    ), stored as materialized (
        select * from all_candles
        where exchange = candle_corrections.exchange and symbol = candle_corrections.symbol
          and timeframe = candle_corrections.timeframe and window_start >= from_ts and window_start < to_ts
    ), noted as materialized (
        select * from candle_differences
        where exchange = candle_corrections.exchange and symbol = candle_corrections.symbol
          and timeframe = candle_corrections.timeframe and window_start >= from_ts and window_start < to_ts
    ), compared as materialized (
        select made.*, kept.tier, kept.source, kept.closed as was_closed,
               (made.open, made.high, made.low, made.close, made.volume, made.trade_count)
                   is distinct from (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.trade_count) as differs,
               (made.open, made.high, made.low, made.close, made.volume)
                   is distinct from (kept.open, kept.high, kept.low, kept.close, kept.volume)
                   or made.trade_count <> kept.trade_count and made.trade_count > 0 and kept.trade_count > 0
                   as contradicts,
               kept.open as kept_open, kept.high as kept_high, kept.low as kept_low, kept.close as kept_close,
               kept.volume as kept_volume, kept.trade_count as kept_count, noted.cause,
               (noted.stream_open, noted.stream_high, noted.stream_low, noted.stream_close, noted.stream_volume,
                noted.stream_trade_count, noted.rest_open, noted.rest_high, noted.rest_low, noted.rest_close,
                noted.rest_volume, noted.rest_trade_count)
                   is not distinct from
                   (made.open, made.high, made.low, made.close, made.volume, made.trade_count, kept.open,
                    kept.high, kept.low, kept.close, kept.volume, kept.trade_count) as is_noted,
               case when kept.closed and not made.known and reopen and not parts_left
                             and is_no_less(made.volume, made.trade_count, kept.volume, kept.trade_count)
                        then part is null and not (
                            bucket > coalesce(oldest, '-infinity') and exists (
                                select from trade_data
                                where trade_data.exchange = candle_corrections.exchange
                                  and pair = candle_corrections.symbol
                                  and "timestamp" >= bucket and "timestamp" < bucket + length))
                    else kept.closed or made.known end as closes
        from made
        left join stored kept on kept.window_start = bucket
        left join noted on noted.window_start = bucket
    ), actions as materialized (
        select *,
               case when source is null then case when known and part is not null then 'make' end
                    when source = 'stream' then
                        -- Shorter candles leave the database before the longer ones: some of them must not replace all.
                        case when (differs or closes <> was_closed)
                                  and (not was_closed or known
                                       or is_no_less(volume, trade_count, kept_volume, kept_count))
                                 then 'change' end
                    when part is null or not known then null
                    when contradicts then case when not is_noted then 'differ' end
                    when cause <> 'late_trades' then 'agree' end as action
        from compared
    )
    select bucket, action, tier, open, high, low, close, volume, trade_count, differs, was_closed, closes, kept_open,
           kept_high, kept_low, kept_close, kept_volume, kept_count
    from actions
    where action is not null
    order by bucket;
end
$$;

COMMENT ON FUNCTION public.candle_corrections(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone, reopen boolean) IS 'What settle_candles would do about the candles of one timeframe in a range: `change` or `make` one, note that a fetched one does `differ` from its parts or that both `agree` now. Writes nothing and takes no lock';

CREATE TABLE public.candle_gaps (
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    gap_start timestamp with time zone NOT NULL,
    gap_end timestamp with time zone NOT NULL,
    missing bigint NOT NULL,
    label text,
    status text DEFAULT 'open'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    detected_at timestamp with time zone DEFAULT now() NOT NULL,
    healed_at timestamp with time zone,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    confirmations integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    due_at timestamp with time zone DEFAULT now(),
    CONSTRAINT candle_gaps_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT candle_gaps_check CHECK ((gap_end > gap_start)),
    CONSTRAINT candle_gaps_confirmations_check CHECK ((confirmations >= 0)),
    CONSTRAINT candle_gaps_label_check CHECK ((label = ANY (ARRAY['no_trades'::text, 'source_missing'::text, 'lost_by_us'::text]))),
    CONSTRAINT candle_gaps_missing_check CHECK ((missing >= 1)),
    CONSTRAINT candle_gaps_status_check CHECK ((status = ANY (ARRAY['open'::text, 'healing'::text, 'healed'::text, 'explained'::text, 'failed'::text]))),
    CONSTRAINT candle_gaps_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
);

COMMENT ON TABLE public.candle_gaps IS 'Holes in the candles: found, labelled and healed. Kept for ever.';

COMMENT ON COLUMN public.candle_gaps.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.candle_gaps.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.candle_gaps.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.candle_gaps.gap_start IS 'First missing window (UTC).';

COMMENT ON COLUMN public.candle_gaps.gap_end IS 'End of the last missing window (UTC).';

COMMENT ON COLUMN public.candle_gaps.missing IS 'Number of missing candles.';

COMMENT ON COLUMN public.candle_gaps.label IS 'Why: no_trades, source_missing or lost_by_us; empty while unknown.';

COMMENT ON COLUMN public.candle_gaps.status IS 'open, healing, healed, explained or failed.';

COMMENT ON COLUMN public.candle_gaps.attempts IS 'How often healing was tried.';

COMMENT ON COLUMN public.candle_gaps.detected_at IS 'When it was found (UTC).';

COMMENT ON COLUMN public.candle_gaps.healed_at IS 'When it was healed or explained (UTC).';

COMMENT ON COLUMN public.candle_gaps.detail IS 'The reason, where there is one.';

COMMENT ON COLUMN public.candle_gaps.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.candle_gaps.confirmations IS 'How often the exchange said that it has nothing there, either.';

COMMENT ON COLUMN public.candle_gaps.asked_at IS 'When the exchange was asked last (UTC).';

COMMENT ON COLUMN public.candle_gaps.due_at IS 'When the exchange is asked again (UTC); empty: not by itself.';

CREATE FUNCTION public.candle_gap_is_due(gap public.candle_gaps, at timestamp with time zone, silent_since timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    select gap_waits(gap.status, gap.due_at, gap.asked_at, at, silent_since) and not gap_is_left(gap)
$$;

COMMENT ON FUNCTION public.candle_gap_is_due(gap public.candle_gaps, at timestamp with time zone, silent_since timestamp with time zone) IS 'Whether to ask an exchange about missing candles: the gap waits, and is not left to others';

CREATE TABLE public.candles (
    window_start timestamp with time zone NOT NULL,
    window_end timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    trade_count bigint DEFAULT 0 NOT NULL,
    closed boolean DEFAULT false NOT NULL,
    source text DEFAULT 'stream'::text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT candles_check CHECK ((window_end > window_start)),
    CONSTRAINT candles_check1 CHECK (((low > (0)::numeric) AND (low <= LEAST(open, close)) AND (high >= GREATEST(open, close)))),
    CONSTRAINT candles_source_check CHECK ((source = ANY (ARRAY['stream'::text, 'rest'::text]))),
    CONSTRAINT candles_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text]))),
    CONSTRAINT candles_trade_count_check CHECK ((trade_count >= 0)),
    CONSTRAINT candles_volume_check CHECK ((volume >= (0)::numeric)),
    CONSTRAINT finite_numbers CHECK (((high < 'Infinity'::numeric) AND (volume < 'Infinity'::numeric)))
);

COMMENT ON TABLE public.candles IS 'The platform''s candles: built from the trades, or fetched closed over REST, which wins. Older ones: all_candles.';

COMMENT ON COLUMN public.candles.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.candles.window_end IS 'First instant after the window (UTC).';

COMMENT ON COLUMN public.candles.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.candles.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.candles.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.candles.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.candles.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.candles.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.candles.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.candles.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.candles.trade_count IS 'Number of trades.';

COMMENT ON COLUMN public.candles.closed IS 'The window has ended, and every minute of it is known.';

COMMENT ON COLUMN public.candles.source IS 'stream: built from trades; rest: fetched closed, which wins.';

COMMENT ON COLUMN public.candles.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE FUNCTION public.close_candles() RETURNS SETOF public.candles
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    waiting record;
    exchanges text[];
    symbols text[];
    firsts timestamptz[];
    seen_exchanges text[];
    seen_symbols text[];
    seen tstzrange[];
begin
    select array_agg(exchange), array_agg(symbol), array_agg(first) into exchanges, symbols, firsts
    from (
        select exchange, symbol, min(window_start) as first from candles
        where not closed and source = 'stream' and window_end <= now() and window_end > now() - interval '1 hour'
          and window_start > now() - interval '25 hours'
        group by exchange, symbol
    ) open;
    if exchanges is null then
        return;
    end if;
    perform lock_series(exchanges, symbols);
    -- Where more is known now, whatever its age; and a little more of it: our clock may be behind the exchange's.
    select array_agg(exchange), array_agg(symbol), array_agg(tstzrange(lower(looked_at) - interval '1 minute', upper(looked_at)))
    into seen_exchanges, seen_symbols, seen
    from unnest(exchanges, symbols, firsts) open (exchange, symbol, first)
    cross join lateral look_at_trades(exchange, symbol, first) looked_at;
    if seen is not null then
        return query select * from close_known_candles(seen_exchanges, seen_symbols, seen);
    end if;
    return query
    select closed.*
    from close_covered_candles(exchanges, symbols, array(
        select tstzrange(first, now()) from unnest(firsts) with ordinality given (first, place) order by place)) closed;
end
$$;

COMMENT ON FUNCTION public.close_candles() IS 'Closes candles whose windows have ended and that are known whole, and returns them: of pairs with open candles of the last hour, those of that hour, and all of which more is known now. What waits for longer, or for more than the database sees by itself, settle_candles closes';

CREATE FUNCTION public.close_covered_candles(exchanges text[], symbols text[], stretches tstzrange[]) RETURNS SETOF public.candles
    LANGUAGE sql
    SET jit TO 'off'
    AS $$
    update candles set closed = true, received_at = now()
    from (
        -- One that somebody else writes at this moment has its turn the next time.
        select open.window_start, open.exchange, open.symbol, open.timeframe
        from (
            select exchange, symbol, range_agg(stretch) as looked_at, min(lower(stretch)) as first,
                   max(upper(stretch)) as last
            from unnest(exchanges, symbols, stretches) given (exchange, symbol, stretch)
            where not isempty(stretch)
            group by exchange, symbol
        ) given
        join candles open
            on open.exchange = given.exchange and open.symbol = given.symbol
           and open.window_start >= given.first - interval '1 day' and open.window_start < given.last
           and open.window_end > given.first and given.looked_at && tstzrange(open.window_start, open.window_end)
        where not open.closed and open.source = 'stream' and open.window_end <= now()
          and is_covered(open.exchange, open.symbol, open.window_start, open.window_end)
        for update of open skip locked
    ) ended
    where (candles.window_start, candles.exchange, candles.symbol, candles.timeframe)
          = (ended.window_start, ended.exchange, ended.symbol, ended.timeframe)
    returning candles.*
$$;

COMMENT ON FUNCTION public.close_covered_candles(exchanges text[], symbols text[], stretches tstzrange[]) IS 'Closes the candles made of trades that overlap some stretches of time, as far as their windows have ended and all their trades are stored; returns them';

CREATE FUNCTION public.close_known_candles(exchanges text[], symbols text[], stretches tstzrange[]) RETURNS SETOF public.candles
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    -- Parts that may be cold are not looked at here: settle_candles does that.
    oldest constant timestamptz := now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles'));
    open record;
    series integer := 0;
begin
    return query select * from close_covered_candles(exchanges, symbols, stretches);
    for open in
        select ended.exchange, ended.symbol, array_agg(ended.window_start) as starts
        from (select distinct * from unnest(exchanges, symbols, stretches) given (exchange, symbol, stretch)
              where not isempty(stretch) and upper(stretch) > oldest) given
        join candles ended
            on ended.exchange = given.exchange and ended.symbol = given.symbol and ended.window_end > lower(given.stretch)
           and ended.window_end <= now() and ended.window_start < upper(given.stretch)
        where not ended.closed and ended.source = 'stream' and ended.timeframe <> '1m' and ended.window_start >= oldest
          and not exists (
              select from candles minute
              where minute.exchange = ended.exchange and minute.symbol = ended.symbol and minute.timeframe = '1m'
                and not minute.closed and minute.window_start >= ended.window_start
                and minute.window_start < ended.window_end and minute.window_end > ended.window_start
                and minute.window_end <= ended.window_end)
          and is_known(ended.exchange, ended.symbol, ended.timeframe, ended.window_start)
        group by ended.exchange, ended.symbol
        limit 10
    loop
        return query
        select made.* from make_wholes(open.exchange, open.symbol, '1m', open.starts) made where made.closed;
    end loop;
end
$$;

COMMENT ON FUNCTION public.close_known_candles(exchanges text[], symbols text[], stretches tstzrange[]) IS 'As close_covered_candles; and of at most ten series also the longer candles that rest on fetched or quiet minutes beside trades. Where parts may be cold, settle_candles closes them';

CREATE FUNCTION public.compress_cold(again boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET jit TO 'off'
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
    chunk record;
begin
    if edition() <> 'community' then
        return 0;
    end if;
    for chunk in execute
        $query$
        select format('%I.%I', info.chunk_schema, info.chunk_name) as name
        from timescaledb_information.chunks info
        join _timescaledb_catalog.chunk known
            on known.schema_name = info.chunk_schema and known.table_name = info.chunk_name
        where info.hypertable_schema = 'cold_storage'
          and (not info.is_compressed or $1 and known.status & 8 = 8)
          and info.range_end < now() - coalesce((
              select min(hot_age) from tiering_policy
              where subject = case info.hypertable_name when 'article_data' then 'news' else info.hypertable_name end
          ), interval '7 days')
        $query$
        using again
    loop
        perform lock_tiering(shared => false);
        execute format('select compress_chunk(%L)', chunk.name);
        return 1;
    end loop;
    return 0;
end
$_$;

COMMENT ON FUNCTION public.compress_cold(again boolean) IS 'Puts a whole chunk of cold_storage into the columnstore where the edition has one; returns how many, 1 or 0: call again until it returns 0. Rows that come later lie beside it: with `again` those go there too';

CREATE FUNCTION public.cover_trades(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) RETURNS tstzrange
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    -- Near an edge the order of ids is not that of timestamps.
    margin constant interval := interval '5 seconds';
    ends timestamptz[];
    stretch tstzrange;
    ids record;
    explained int8multirange;
    found tstzmultirange;
begin
    if not has_consecutive_ids(exchange) then
        found := imported_trades(exchange, pair, since, until);
        perform write_coverage(exchange, pair, range_merge(found), found);
        return case when isempty(found) then 'empty' else tstzrange(since, until) end;
    end if;

    -- From the trade before the last one before, to the one after the first one after: so it overlaps what is known.
    ends := array[
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" < since
         order by "timestamp" desc limit 1),
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" >= since
           and "timestamp" < until
         order by "timestamp" limit 1),
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" >= since
           and "timestamp" < until
         order by "timestamp" desc limit 1),
        (select "timestamp" from trade_data
         where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" >= until
         order by "timestamp" limit 1)];
    if coalesce(ends[1], ends[2], ends[4]) is null then
        return 'empty';
    end if;
    stretch := tstzrange(
        coalesce(
            (select "timestamp" from trade_data
             where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" < ends[1]
             order by "timestamp" desc limit 1),
            ends[1], ends[2], ends[4]),
        coalesce(
            (select "timestamp" from trade_data
             where exchange = cover_trades.exchange and pair = cover_trades.pair and "timestamp" > ends[4]
             order by "timestamp" limit 1),
            ends[4], ends[3], ends[1]),
        '()');
    if isempty(stretch) then
        return stretch;
    end if;

    select min(trade_id) as lowest, max(trade_id) as highest, count(distinct trade_id) as stored into ids
    from trade_data
    where exchange = cover_trades.exchange and pair = cover_trades.pair
      and "timestamp" >= lower(stretch) - margin and "timestamp" <= upper(stretch) + margin;
    found := tstzmultirange(stretch);
    if ids.stored < ids.highest::numeric - ids.lowest + 1 then
        select coalesce(range_agg(int8range(first_missing_id, last_missing_id, '[]')), '{}') into explained
        from trade_gaps
        where exchange = cover_trades.exchange and pair = cover_trades.pair and status = 'explained'
          and first_missing_id <= ids.highest and last_missing_id >= ids.lowest;
        select found - coalesce(range_agg(hole.made), '{}') into found
        from (
            -- One id may be stored under two timestamps: then nothing lies between.
            select int8range(before + 1, trade_id) as ids,
                   tstzrange(least(before_at, "timestamp"), greatest(before_at, "timestamp"), '[]') as made
            from (
                select trade_id, "timestamp", lag(trade_id) over by_id as before, lag("timestamp") over by_id as before_at
                from trade_data
                where exchange = cover_trades.exchange and pair = cover_trades.pair
                  and "timestamp" >= lower(stretch) - margin and "timestamp" <= upper(stretch) + margin
                window by_id as (order by trade_id, "timestamp")
            ) following
            where before < trade_id - 1
        ) hole
        where not hole.ids <@ explained;
    end if;

    perform write_coverage(exchange, pair, stretch, found);
    return stretch;
end
$$;

COMMENT ON FUNCTION public.cover_trades(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) IS 'Writes down of which time about a range all trades of a pair are stored, as their ids or the imported files say; returns the time that was looked at. The caller holds the lock of the series';

CREATE FUNCTION public.dated_value(state public.dated_bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select ($1).value$_$;

CREATE FUNCTION public.dated_value(state public.dated_double_precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select ($1).value$_$;

CREATE FUNCTION public.dated_value(state public.dated_numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select ($1).value$_$;

CREATE FUNCTION public.dated_value(state public.dated_text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select ($1).value$_$;

CREATE FUNCTION public.drop_chunk(relation regclass, since timestamp with time zone, until timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
declare
    patience constant text := current_setting('lock_timeout');
begin
    for attempt in 1..300 loop
        begin
            perform set_config('lock_timeout', '50ms', true);
            execute format('select drop_chunks(%L::regclass, older_than => %L::timestamptz, newer_than => %L::timestamptz)',
                           relation, until, since);
            perform set_config('lock_timeout', patience, true);
            return;
        exception when lock_not_available then
            perform pg_sleep(0.05 + 0.1 * random());
        end;
    end loop;
    raise exception 'rows of % are being read all the time', relation using errcode = 'lock_not_available';
end
$$;

COMMENT ON FUNCTION public.drop_chunk(relation regclass, since timestamp with time zone, until timestamp with time zone) IS 'Drops the chunk of a range. A reader keeps it from that, and whoever writes to the table would wait behind the one who waits for the reader: so that is for a moment only, again and again for half a minute';

CREATE FUNCTION public.drop_empty_chunks(relation regclass, before timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET jit TO 'off'
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
    chunk record;
    empty boolean;
    dropped bigint := 0;
    began timestamptz;
begin
    if edition() = 'plain' then
        return 0;
    end if;
    for chunk in execute
        'select format(''%I.%I'', chunk_schema, chunk_name) as name, range_start, range_end
         from timescaledb_information.chunks
         where format(''%I.%I'', hypertable_schema, hypertable_name)::regclass = $1 and range_end <= $2'
        using relation, before
    loop
        execute format('select not exists (select from %1$s where %2$I >= %3$L and %2$I < %4$L)', relation, (
            select attname from pg_attribute join pg_index on indrelid = attrelid and attnum = indkey[0]
            where attrelid = relation and indisprimary), chunk.range_start, chunk.range_end) into empty;
        continue when not empty;
        began := coalesce(began, clock_timestamp());
        execute format('lock table %s in share row exclusive mode', chunk.name);
        execute format('select not exists (select from %s)', chunk.name) into empty;
        if empty then
            perform drop_chunk(relation, chunk.range_start, chunk.range_end);
            dropped := dropped + 1;
        end if;
        exit when dropped > 0 and clock_timestamp() - began > interval '50 milliseconds';
    end loop;
    return dropped;
end
$_$;

COMMENT ON FUNCTION public.drop_empty_chunks(relation regclass, before timestamp with time zone) IS 'Drops chunks of a table that end before an instant and have no rows left, for a moment only: call again until it returns 0. Returns how many';

CREATE FUNCTION public.due_for_archive(subject text, at timestamp with time zone) RETURNS TABLE(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    AS $_$
#variable_conflict use_column
declare
    policy record;
begin
    if due_for_archive.subject not in ('candles', 'indicators') then
        raise exception 'only candles and indicators are archived by series, not %', due_for_archive.subject;
    end if;
    for policy in
        select timeframe, at - greatest(hot_age + cold_age, history_age) as border
        from tiering_policy
        where subject = due_for_archive.subject and hot_age is not null and cold_age is not null
    loop
        return query execute format(
            'select exchange, symbol, %2$L, since, until
             from (
                 select exchange, symbol, date_trunc(''month'', window_start, ''UTC'') as since,
                        date_trunc(''month'', window_start, ''UTC'') + interval ''1 month'' as until
                 from cold_storage.%1$I
                 where timeframe = %2$L and window_start < %3$L
                 group by 1, 2, 3
             ) months
             where until <= least(%3$L, %4$L::timestamptz - coalesce((
                 select max(history_days) from crypto_configuration configured
                 where configured.exchange = months.exchange and configured.pair = months.symbol
             ), 0) * interval ''1 day'')
             order by since, exchange, symbol',
            due_for_archive.subject, policy.timeframe, policy.border, at);
    end loop;
end
$_$;

COMMENT ON FUNCTION public.due_for_archive(subject text, at timestamp with time zone) IS 'The whole months of each series that are to leave cold_storage: older than both ages and than the configured history';

CREATE FUNCTION public.edition() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select case
        when not exists (select from pg_extension where extname = 'timescaledb') then 'plain'
        when current_setting('timescaledb.license', true) = 'apache' then 'apache'
        else 'community'
    end
$$;

COMMENT ON FUNCTION public.edition() IS 'community, apache or plain: what this database''s TimescaleDB offers';

CREATE FUNCTION public.ema_step(average double precision, value double precision, periods integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((value - average) * ((2)::double precision / ((periods + 1))::double precision)) + average);

CREATE TABLE public.trade_gaps (
    exchange text NOT NULL,
    pair text NOT NULL,
    first_missing_id bigint NOT NULL,
    last_missing_id bigint,
    label text,
    status text DEFAULT 'open'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    detected_at timestamp with time zone DEFAULT now() NOT NULL,
    healed_at timestamp with time zone,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    confirmations integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    due_at timestamp with time zone,
    made_after timestamp with time zone,
    made_before timestamp with time zone,
    CONSTRAINT trade_gaps_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT trade_gaps_check CHECK ((last_missing_id >= first_missing_id)),
    CONSTRAINT trade_gaps_confirmations_check CHECK ((confirmations >= 0)),
    CONSTRAINT trade_gaps_first_missing_id_check CHECK ((first_missing_id >= 0)),
    CONSTRAINT trade_gaps_label_check CHECK ((label = ANY (ARRAY['no_trades'::text, 'source_missing'::text, 'lost_by_us'::text]))),
    CONSTRAINT trade_gaps_status_check CHECK ((status = ANY (ARRAY['open'::text, 'healing'::text, 'healed'::text, 'explained'::text, 'failed'::text])))
);

COMMENT ON TABLE public.trade_gaps IS 'Missing trade ids: found, labelled and healed. Kept for ever.';

COMMENT ON COLUMN public.trade_gaps.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.trade_gaps.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.trade_gaps.first_missing_id IS 'First missing trade id.';

COMMENT ON COLUMN public.trade_gaps.last_missing_id IS 'Last missing trade id; empty while unknown.';

COMMENT ON COLUMN public.trade_gaps.label IS 'Why: no_trades, source_missing or lost_by_us; empty while unknown.';

COMMENT ON COLUMN public.trade_gaps.status IS 'open, healing, healed, explained or failed.';

COMMENT ON COLUMN public.trade_gaps.attempts IS 'How often healing was tried.';

COMMENT ON COLUMN public.trade_gaps.detected_at IS 'When it was found (UTC).';

COMMENT ON COLUMN public.trade_gaps.healed_at IS 'When it was healed or explained (UTC).';

COMMENT ON COLUMN public.trade_gaps.detail IS 'Further facts.';

COMMENT ON COLUMN public.trade_gaps.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.trade_gaps.confirmations IS 'How often the exchange said that it has nothing there, either.';

COMMENT ON COLUMN public.trade_gaps.asked_at IS 'When the exchange was asked last (UTC).';

COMMENT ON COLUMN public.trade_gaps.due_at IS 'When the exchange is asked again (UTC); empty: not by itself.';

COMMENT ON COLUMN public.trade_gaps.made_after IS 'The missing trades were made after this (UTC); empty where the collector is at work on them.';

COMMENT ON COLUMN public.trade_gaps.made_before IS 'The missing trades were made before this (UTC); empty where the collector is at work on them.';

CREATE FUNCTION public.explain_trade(exchange text, pair text, trade_id bigint, made timestamp with time zone, reason text) RETURNS SETOF public.trade_gaps
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    id constant int8multirange := int8multirange(int8range(explain_trade.trade_id, explain_trade.trade_id, '[]'));
    all_ids constant int8multirange := '{(,)}';
    known trade_gaps[];
    wanted trade_gaps[] := '{}';
    gap trade_gaps;
    piece trade_gaps;
begin
    perform lock_gaps(explain_trade.exchange, explain_trade.pair, 'trades');
    if exists (select from trade_data
               where exchange = explain_trade.exchange and pair = explain_trade.pair and trade_id = explain_trade.trade_id
                 and "timestamp" between made - interval '1 hour' and made + interval '1 hour') then
        return;
    end if;
    known := array(
        select trade_gaps from trade_gaps
        where exchange = explain_trade.exchange and pair = explain_trade.pair and status <> 'healed'
          and int8range(first_missing_id, last_missing_id, '[]') && id);
    gap := row(explain_trade.exchange, explain_trade.pair, explain_trade.trade_id, explain_trade.trade_id, null, 'open', 0,
               now(), null, '{}', now(), 0, null, null, made, made)::trade_gaps;
    foreach gap in array case when cardinality(known) > 0 then known else array[gap] end loop
        piece := gap;
        piece.first_missing_id := explain_trade.trade_id;
        piece.last_missing_id := explain_trade.trade_id;
        piece.label := 'source_missing';
        piece.status := 'explained';
        piece.due_at := null;
        piece.detail := gap.detail || jsonb_build_object('reason', reason);
        wanted := wanted || piece;
        wanted := wanted || array(select part from trade_gap_parts(gap, all_ids - id) part);
    end loop;
    return query select * from replace_trade_gaps(known, wanted);
end
$$;

COMMENT ON FUNCTION public.explain_trade(exchange text, pair text, trade_id bigint, made timestamp with time zone, reason text) IS 'Writes down that there is no trade of an id, such as when somebody has discarded what a file gave for it. Returns the rows it changed';

CREATE FUNCTION public.find_candle_gaps(exchanges text[], symbols text[], timeframes text[], since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(exchange text, symbol text, timeframe text, gap_start timestamp with time zone, gap_end timestamp with time zone, missing bigint)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.find_candle_gaps(exchanges text[], symbols text[], timeframes text[], since timestamp with time zone, until timestamp with time zone) IS 'The gaps in many series at once; what is complete in the hot table costs a step along an index and no more';

CREATE FUNCTION public.find_candle_gaps(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(gap_start timestamp with time zone, gap_end timestamp with time zone, missing bigint)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
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

COMMENT ON FUNCTION public.find_candle_gaps(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'The gaps in the candles of one series, hot and cold, among the whole windows of a range while the pair was listed';

CREATE FUNCTION public.find_trade_gaps(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(first_missing_id bigint, last_missing_id bigint, made_after timestamp with time zone, made_before timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
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

COMMENT ON FUNCTION public.find_trade_gaps(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) IS 'The trade ids of one pair that are missing in a range or across one of its edges, and the times of the trades next to each gap';

CREATE FUNCTION public.first_step(state public.dated_bigint, value bigint, at timestamp with time zone) RETURNS public.dated_bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at <= $3 then $1 else row($2, $3)::dated_bigint end$_$;

CREATE FUNCTION public.first_step(state public.dated_double_precision, value double precision, at timestamp with time zone) RETURNS public.dated_double_precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at <= $3 then $1 else row($2, $3)::dated_double_precision end$_$;

CREATE FUNCTION public.first_step(state public.dated_numeric, value numeric, at timestamp with time zone) RETURNS public.dated_numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at <= $3 then $1 else row($2, $3)::dated_numeric end$_$;

CREATE FUNCTION public.first_step(state public.dated_text, value text, at timestamp with time zone) RETURNS public.dated_text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at <= $3 then $1 else row($2, $3)::dated_text end$_$;

CREATE FUNCTION public.forget_candle_gaps(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.forget_candle_gaps(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'Forgets what is missing in a range and was never asked for: there a backfill has just brought the first candles there ever were. What is still missing is found again';

CREATE FUNCTION public.gap_is_left(gap public.candle_gaps) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
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

COMMENT ON FUNCTION public.gap_is_left(gap public.candle_gaps) IS 'Whether nobody should ask about a gap: it has left the database, a backfill has it before it, or the collector is fetching trades of the pair';

CREATE FUNCTION public.gap_part(gap public.candle_gaps, part tstzrange) RETURNS public.candle_gaps
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
    gap.gap_start := lower(part);
    gap.gap_end := upper(part);
    gap.missing := extract(epoch from gap.gap_end - gap.gap_start) / extract(epoch from timeframe_length(gap.timeframe));
    return gap;
end
$$;

CREATE FUNCTION public.gap_waits(status text, due_at timestamp with time zone, asked_at timestamp with time zone, at timestamp with time zone, silent_since timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    select status in ('open', 'failed') and due_at <= at or status = 'healing' and asked_at < silent_since
$$;

COMMENT ON FUNCTION public.gap_waits(status text, due_at timestamp with time zone, asked_at timestamp with time zone, at timestamp with time zone, silent_since timestamp with time zone) IS 'Whether the time has come to ask an exchange about a gap: it is due, or whoever claimed it has been silent';

CREATE FUNCTION public.has_consecutive_ids(exchange text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (exchange = ANY (ARRAY['kraken'::text, 'binance'::text]));

COMMENT ON FUNCTION public.has_consecutive_ids(exchange text) IS 'Whether an exchange numbers the trades of each pair without leaving a number out, so that ids say what is missing';

CREATE FUNCTION public.history_start(exchange text, symbol text, timeframe text, since timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.history_start(exchange text, symbol text, timeframe text, since timestamp with time zone) IS 'From when on, but not before the midnight before an instant, a series is to be complete here: its first candle or the beginning of its backfill, but no day that has left the database';

CREATE FUNCTION public.holes_between(stored timestamp with time zone[], within tstzrange, length interval) RETURNS TABLE(gap_start timestamp with time zone, gap_end timestamp with time zone, missing bigint)
    LANGUAGE sql STABLE
    AS $$
    select following, window_start,
           (extract(epoch from window_start - following) / extract(epoch from length))::bigint
    from (
        select window_start, lag(window_start + length, 1, lower(within)) over (order by window_start) as following
        from (select unnest(stored) as window_start union all select upper(within)) ends
    ) steps
    where window_start > following
$$;

COMMENT ON FUNCTION public.holes_between(stored timestamp with time zone[], within tstzrange, length interval) IS 'The windows of a range that are not among those stored, consecutive ones as one';

CREATE FUNCTION public.imported_trades(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) RETURNS tstzmultirange
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    -- A file may give the time of a trade that was stored before more exactly than it is stored.
    margin constant interval := interval '1 millisecond';
begin
    return (
        select coalesce(range_agg(tstzrange(first_ts, last_ts, '()')), '{}') from import_progress file
        where file.exchange = imported_trades.exchange and file.symbol = imported_trades.pair
          and file.kind = 'trades' and file.status = 'completed' and file.rows_stored > 0
          and file.first_ts < imported_trades.until and file.last_ts > imported_trades.since
          -- Of files without ids only candles are stored.
          and (select bool_and(exists (
                   select from trade_data
                   where trade_data.exchange = imported_trades.exchange and trade_data.pair = imported_trades.pair
                     and "timestamp" between at - margin and at + margin))
               from unnest(array[file.first_ts, file.last_ts]) at)
          and (file.rows_quarantined = 0 or not exists (
              select from quarantine
              where subject = 'trades_import' and quarantine_is_open(quarantine)
                and starts_with(series, file.fingerprint || ':')))
    );
end
$$;

COMMENT ON FUNCTION public.imported_trades(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) IS 'The time, about a range, of the imported files of trades of a pair of which no row is undecided: from the first to the last trade of each';

CREATE FUNCTION public.indicator_run(closes double precision[], state double precision[], renewals integer[]) RETURNS TABLE(average_gain double precision, average_loss double precision, fast double precision, slow double precision, signal double precision, total double precision, squares double precision, peak double precision)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
    prices constant double precision[] := state[9:28] || closes;
    price double precision;
    change double precision;
    gone double precision;
    renewal integer := renewals[1] + 20;
begin
    average_gain := state[1];
    average_loss := state[2];
    fast := state[3];
    slow := state[4];
    signal := state[5];
    total := state[6];
    squares := state[7];
    peak := state[8];
    for i in 21..cardinality(prices) loop
        price := prices[i];
        change := price - prices[i - 1];
        average_gain := wilder_step(average_gain, rise(change));
        average_loss := wilder_step(average_loss, rise(-change));
        fast := ema_step(fast, price, 12);
        slow := ema_step(slow, price, 26);
        signal := signal_step(signal, fast - slow);
        gone := prices[i - 20];
        total := total - gone + price;
        squares := squares_step(squares, total, price, gone);
        if i = renewal or squares not between peak * 1e-3 and peak then
            if i = renewal then
                total := total_of(prices[i - 19:i]);
                squares := squares_of(prices[i - 19:i]);
                renewals := renewals[2:];
                renewal := renewals[1] + 20;
            elsif squares < peak then
                squares := squares_of(prices[i - 19:i]);
            end if;
            peak := squares;
        end if;
        return next;
    end loop;
end
$$;

COMMENT ON FUNCTION public.indicator_run(closes double precision[], state double precision[], renewals integer[]) IS 'The running values after each of the closes that follow on a state. `renewals`: the numbers of the closes at which the sums are made anew, in order';

CREATE FUNCTION public.indicator_seed(closes double precision[]) RETURNS TABLE(average_gain double precision, average_loss double precision, fast double precision, slow double precision, signal double precision, total double precision, squares double precision, peak double precision)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
    price double precision;
    change double precision;
    gains double precision := 0;
    losses double precision := 0;
    last_12_of_26 double precision := 0;
    all_26 double precision := 0;
    first_9 double precision := 0;
begin
    for i in 1..least(cardinality(closes), 34) loop
        price := closes[i];
        change := coalesce(price - closes[i - 1], 0);
        if i <= 15 then
            gains := gains + rise(change);
            losses := losses + rise(-change);
        end if;
        average_gain := case when i = 15 then gains / 14 else wilder_step(average_gain, rise(change)) end;
        average_loss := case when i = 15 then losses / 14 else wilder_step(average_loss, rise(-change)) end;
        if i >= 20 then
            total := total_of(closes[i - 19:i]);
            squares := squares_of(closes[i - 19:i]);
            peak := squares;
        end if;
        if i <= 26 then
            all_26 := all_26 + price;
            last_12_of_26 := last_12_of_26 + case when i > 14 then price else 0 end;
        end if;
        fast := case when i = 26 then last_12_of_26 / 12 else ema_step(fast, price, 12) end;
        slow := case when i = 26 then all_26 / 26 else ema_step(slow, price, 26) end;
        first_9 := first_9 + coalesce(fast - slow, 0);
        signal := case when i = 34 then first_9 / 9 end;
        return next;
    end loop;
end
$$;

COMMENT ON FUNCTION public.indicator_seed(closes double precision[]) IS 'The running values after each of the first 34 closes of a series: null until a value has its first period behind it. After the 34th they are the beginning of a state';

CREATE TABLE public.trade_coverage (
    exchange text NOT NULL,
    pair text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT trade_coverage_check CHECK ((since < until))
);

COMMENT ON TABLE public.trade_coverage IS 'The time of which all trades of a pair are stored, as their ids or the imported files say; both ends are left out. Kept for ever.';

COMMENT ON COLUMN public.trade_coverage.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.trade_coverage.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.trade_coverage.since IS 'After this (UTC) nothing is missing.';

COMMENT ON COLUMN public.trade_coverage.until IS 'Before this (UTC) nothing is missing.';

COMMENT ON COLUMN public.trade_coverage.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE FUNCTION public.is_covered(exchange text, pair text, first timestamp with time zone, last timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (EXISTS (SELECT FROM public.trade_coverage covered WHERE ((covered.exchange = is_covered.exchange) AND (covered.pair = is_covered.pair) AND (covered.since < is_covered.first) AND (covered.until >= is_covered.last))));

COMMENT ON FUNCTION public.is_covered(exchange text, pair text, first timestamp with time zone, last timestamp with time zone) IS 'Whether all trades of a window are stored';

CREATE FUNCTION public.is_known(exchange text, symbol text, timeframe text, start timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    AS $$
begin
    return exists (
        select from trade_coverage covered
        where covered.exchange = is_known.exchange and covered.pair = is_known.symbol
          and covered.since < start and covered.until >= start + timeframe_length(is_known.timeframe)
    ) or exists (
        select from known_windows(is_known.exchange, is_known.symbol, is_known.timeframe, start,
                                  start + timeframe_length(is_known.timeframe))
        where known_minutes = whole_minutes(is_known.timeframe)
    );
end
$$;

COMMENT ON FUNCTION public.is_known(exchange text, symbol text, timeframe text, start timestamp with time zone) IS 'Whether every minute of a window is known';

CREATE FUNCTION public.is_new_coverage(exchange text, pair text, stretch tstzrange) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (EXISTS (SELECT FROM public.trade_coverage covered WHERE ((covered.exchange = is_new_coverage.exchange) AND (covered.pair = is_new_coverage.pair) AND (covered.received_at = now()) AND (covered.since < upper(is_new_coverage.stretch)) AND (covered.until > lower(is_new_coverage.stretch)))));

COMMENT ON FUNCTION public.is_new_coverage(exchange text, pair text, stretch tstzrange) IS 'Whether this transaction has written what is known of some time';

CREATE FUNCTION public.is_no_less(volume numeric, trade_count bigint, stored_volume numeric, stored_count bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((volume >= stored_volume) AND (trade_count >= stored_count));

COMMENT ON FUNCTION public.is_no_less(volume numeric, trade_count bigint, stored_volume numeric, stored_count bigint) IS 'Whether a candle made anew may have all trades of the stored one. A count alone does not say so: it may be 0 beside a volume';

CREATE FUNCTION public.judge_again(exchanges text[], symbols text[], instants timestamp with time zone[]) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
    if exists (
        select from candle_differences
        where cause <> 'late_trades' and window_start > (select min(instant) - interval '24 hours' from unnest(instants) instant)
          and window_start <= (select max(instant) from unnest(instants) instant)
    ) then
        update candle_differences differing set cause = null, explained_at = null
        from (
            select distinct given.exchange, given.symbol, length.timeframe,
                   date_bin(timeframe_length(length.timeframe), instant, 'epoch') as bucket
            from unnest(exchanges, symbols, instants) given (exchange, symbol, instant),
                 unnest(array['1m', '5m', '15m', '1h', '1d']) length (timeframe)
        ) touched
        where differing.window_start = touched.bucket and differing.exchange = touched.exchange
          and differing.symbol = touched.symbol and differing.timeframe = touched.timeframe
          and differing.cause <> 'late_trades';
    end if;
end
$$;

COMMENT ON FUNCTION public.judge_again(exchanges text[], symbols text[], instants timestamp with time zone[]) IS 'Has the differences whose windows some trades touch judged again: what their causes rest on has changed. That the trades came late is the last word';

CREATE FUNCTION public.keep_candle_difference() RETURNS trigger
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
begin
    insert into candle_differences (window_start, exchange, symbol, timeframe,
                                    stream_open, stream_high, stream_low, stream_close, stream_volume,
                                    stream_trade_count,
                                    rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count)
    values (old.window_start, old.exchange, old.symbol, old.timeframe,
            old.open, old.high, old.low, old.close, old.volume, old.trade_count,
            new.open, new.high, new.low, new.close, new.volume, new.trade_count)
    on conflict (window_start, exchange, symbol, timeframe) do update
        set (rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
            = (excluded.rest_open, excluded.rest_high, excluded.rest_low, excluded.rest_close, excluded.rest_volume,
               excluded.rest_trade_count, null, null);
    return null;
end
$$;

COMMENT ON FUNCTION public.keep_candle_difference() IS 'Keeps how a fetched candle differs from the one it replaces';

CREATE FUNCTION public.known_windows(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(window_start timestamp with time zone, known_minutes bigint)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(known_windows.timeframe);
    from_ts constant timestamptz := date_bin(length, since, 'epoch');
    to_ts constant timestamptz := date_bin(length, until + length - interval '1 microsecond', 'epoch');
    known tstzmultirange;
begin
    if from_ts >= to_ts then
        return;
    end if;
    select coalesce(range_agg(tstzrange(date_trunc('minute', covered.since) + interval '1 minute',
                                        date_trunc('minute', covered.until))), '{}')
    into known
    from trade_coverage covered
    where covered.exchange = known_windows.exchange and covered.pair = known_windows.symbol
      and covered.since < to_ts and covered.until > from_ts
      and date_trunc('minute', covered.since) < date_trunc('minute', covered.until) - interval '1 minute';

    if not known @> tstzrange(from_ts, to_ts) then
        known := known + (
            select coalesce(range_agg(tstzrange(gap_start, gap_end)), '{}') from candle_gaps
            where exchange = known_windows.exchange and symbol = known_windows.symbol
              and label = 'no_trades' and status = 'explained' and gap_start < to_ts and gap_end > from_ts
        ) + (
            select coalesce(tstzmultirange(tstzrange(from_ts, to_ts)) - range_agg(listed), '{}') from instruments
            where exchange = known_windows.exchange and pair = known_windows.symbol
        );
    end if;
    if length > interval '1 minute' and not known @> tstzrange(from_ts, to_ts) then
        known := known + (
            select coalesce(range_agg(tstzrange(window_start, window_end)), '{}') from candles
            where exchange = known_windows.exchange and symbol = known_windows.symbol and closed
              and timeframe = any (array(
                  select shorter from unnest(array['1m', '5m', '15m', '1h']) shorter
                  where timeframe_length(shorter) < length))
              and window_start >= from_ts and window_start < to_ts);
        -- Nothing that young is cold, and a look there would cost more than all the rest.
        if from_ts < now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles')) then
            known := known + (
                select coalesce(range_agg(tstzrange(window_start, window_end)), '{}') from cold_storage.candles
                where exchange = known_windows.exchange and symbol = known_windows.symbol and closed
                  and timeframe = any (array(
                      select shorter from unnest(array['1m', '5m', '15m', '1h']) shorter
                      where timeframe_length(shorter) < length))
                  and window_start >= from_ts and window_start < to_ts);
        end if;
    end if;

    return query
    select bucket, (sum(extract(epoch from least(upper(part), bucket + length) - greatest(lower(part), bucket))) / 60)::bigint
    from unnest(known * tstzmultirange(tstzrange(from_ts, to_ts))) part
    cross join lateral generate_series(
        date_bin(length, lower(part), 'epoch'), upper(part) - interval '1 microsecond', length) bucket
    group by bucket;
end
$$;

COMMENT ON FUNCTION public.known_windows(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'How many minutes of each window of a range are known: all their trades are stored, a shorter candle is closed, or the exchange says that there were no trades. Windows of which nothing is known are left out';

CREATE FUNCTION public.last_step(state public.dated_bigint, value bigint, at timestamp with time zone) RETURNS public.dated_bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at >= $3 then $1 else row($2, $3)::dated_bigint end$_$;

CREATE FUNCTION public.last_step(state public.dated_double_precision, value double precision, at timestamp with time zone) RETURNS public.dated_double_precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at >= $3 then $1 else row($2, $3)::dated_double_precision end$_$;

CREATE FUNCTION public.last_step(state public.dated_numeric, value numeric, at timestamp with time zone) RETURNS public.dated_numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at >= $3 then $1 else row($2, $3)::dated_numeric end$_$;

CREATE FUNCTION public.last_step(state public.dated_text, value text, at timestamp with time zone) RETURNS public.dated_text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$select case when $3 is null or ($1).at >= $3 then $1 else row($2, $3)::dated_text end$_$;

CREATE FUNCTION public.lock_batch() RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
begin
    perform pg_advisory_xact_lock(hashtextextended('cryptoviz:batch', 0));
    perform lock_tiering(shared => true);
end
$$;

COMMENT ON FUNCTION public.lock_batch() IS 'Batch work that writes trades or candles takes turns, piece by piece; rows stay in their tier meanwhile. The stream does not wait for it';

CREATE FUNCTION public.lock_candles() RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
begin
    perform lock_batch();
    perform pg_advisory_xact_lock(hashtextextended('cryptoviz:candles', 0));
end
$$;

COMMENT ON FUNCTION public.lock_candles() IS 'A piece of batch work begins: the stream writes no candles until its transaction ends, so that must be soon';

CREATE FUNCTION public.lock_gaps(exchange text, symbol text, timeframe text) RETURNS void
    LANGUAGE sql
    SET jit TO 'off'
    AS $$
    select pg_advisory_xact_lock(hashtextextended('gaps:' || exchange || ':' || symbol || ':' || timeframe, 0))
$$;

CREATE FUNCTION public.lock_indicators() RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
begin
    perform pg_advisory_xact_lock(hashtextextended('cryptoviz:indicators', 0));
end
$$;

COMMENT ON FUNCTION public.lock_indicators() IS 'Who computes indicators takes turns, until the end of the transaction';

CREATE FUNCTION public.lock_series(exchanges text[], pairs text[]) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.lock_series(exchanges text[], pairs text[]) IS 'Two that write candles of one pair take turns, until the end of the transaction';

CREATE FUNCTION public.lock_tiering(shared boolean) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.lock_tiering(shared boolean) IS 'Shared: rows stay in their tier until the end of the transaction. Else: nobody else moves rows, or relies on it that they stay';

CREATE FUNCTION public.look_at_trades(exchange text, pair text, first timestamp with time zone) RETURNS SETOF tstzrange
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    recently constant interval := interval '1 hour';
    margin constant interval := interval '5 seconds';
    hole record;
    at timestamptz;
    looked_at tstzrange;
begin
    if not has_consecutive_ids(exchange) then
        return;
    end if;

    -- What was missing of late may have come: then it was received since the row behind the hole was written, or a moment
    -- before, by a transaction that had not ended yet. Whatever comes later than that refresh_candles looks at itself.
    for hole in
        select coalesce(before.until, least(greatest(first, now() - recently), behind.since)) as since,
               behind.since as until, behind.received_at
        from trade_coverage behind
        left join lateral (
            select until from trade_coverage before
            where before.exchange = look_at_trades.exchange and before.pair = look_at_trades.pair
              and before.since < behind.since
            order by before.since desc limit 1
        ) before on true
        where behind.exchange = look_at_trades.exchange and behind.pair = look_at_trades.pair
          and behind.since > now() - recently
    loop
        continue when not exists (
            select from trade_data
            where exchange = look_at_trades.exchange and pair = look_at_trades.pair
              and "timestamp" >= hole.since - margin and "timestamp" <= hole.until + margin
              and received_at > hole.received_at - interval '1 minute');
        looked_at := cover_trades(look_at_trades.exchange, look_at_trades.pair, hole.since, hole.until);
        if is_new_coverage(look_at_trades.exchange, look_at_trades.pair, looked_at) then
            return next looked_at;
        end if;
        update trade_coverage set received_at = now()
        where exchange = look_at_trades.exchange and pair = look_at_trades.pair and since = hole.until;
    end loop;

    -- Nobody has looked at the newest trades yet. Two pieces: the first may be a long silence with a hole in it.
    at := coalesce(
        (select until from trade_coverage
         where exchange = look_at_trades.exchange and pair = look_at_trades.pair
         order by since desc limit 1),
        greatest(first, now() - recently));
    for piece in 1..2 loop
        exit when at >= now();
        looked_at := cover_trades(look_at_trades.exchange, look_at_trades.pair, at, least(at + recently, now()));
        if is_new_coverage(look_at_trades.exchange, look_at_trades.pair, looked_at) then
            return next looked_at;
        end if;
        at := greatest(least(at + recently, now()), upper(looked_at));
    end loop;
end
$$;

COMMENT ON FUNCTION public.look_at_trades(exchange text, pair text, first timestamp with time zone) IS 'Brings trade_coverage of a pair up to date with its newest trades, at most two hours of them, and with the holes of the last hour near which something has arrived; returns the times of which it wrote something down. `first`: where to begin if nothing is known. The caller holds the lock of the series';

CREATE FUNCTION public.make_columnar(relation regclass, time_column name, segment_by text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    if edition() = 'community' then
        execute format('alter table %s set (timescaledb.compress, timescaledb.compress_segmentby = %L, '
                       'timescaledb.compress_orderby = %L)', relation, segment_by, quote_ident(time_column) || ' desc');
    end if;
end
$$;

COMMENT ON FUNCTION public.make_columnar(relation regclass, time_column name, segment_by text) IS 'Turns on the columnstore of a table where the edition can';

CREATE FUNCTION public.make_hypertable(relation regclass, time_column name, chunk interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    if edition() <> 'plain' then
        execute format('select create_hypertable(%L, by_range(%L, %L::interval), create_default_indexes => false)',
                       relation, time_column, chunk);
    end if;
end
$$;

COMMENT ON FUNCTION public.make_hypertable(relation regclass, time_column name, chunk interval) IS 'Partitions a table by time where the edition can';

CREATE FUNCTION public.make_rollup(rollup name, definition text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    if edition() = 'community' then
        execute format('create materialized view %I with (timescaledb.continuous, '
                       'timescaledb.materialized_only = false) as %s with no data', rollup, definition);
    else
        execute format('create view %I as %s', rollup, definition);
    end if;
end
$$;

COMMENT ON FUNCTION public.make_rollup(rollup name, definition text) IS 'Creates a continuous aggregate where the edition can, else a view';

CREATE FUNCTION public.make_wholes(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) RETURNS SETOF public.candles
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    length interval;
    touched timestamptz[];
    known timestamptz[];
    sound timestamptz[];
    step record;
begin
    for step in
        select part, whole
        from (values ('1m', '5m'), ('5m', '15m'), ('15m', '1h'), ('1h', '1d')) steps (part, whole)
        where timeframe_length(part) >= timeframe_length(make_wholes.timeframe)
        order by timeframe_length(part)
    loop
        length := timeframe_length(step.whole);
        touched := array(select distinct date_bin(length, start, 'epoch') from unnest(starts) start);
        known := array(
            select window_start
            from known_windows(make_wholes.exchange, make_wholes.symbol, step.whole,
                               (select min(bucket) from unnest(touched) bucket),
                               (select max(bucket) + length from unnest(touched) bucket)) windows
            where known_minutes = whole_minutes(step.whole));
        -- Of fetched candles a few alone must not pass for the whole hour: that would hide that it is missing.
        sound := array(
            select bucket from unnest(touched) bucket
            where bucket in (select unnest(known)) or exists (
                select from candles
                where exchange = make_wholes.exchange and symbol = make_wholes.symbol and timeframe = step.whole
                  and window_start = bucket and window_start >= (select min(bucket) from unnest(touched) bucket)
                  and window_start <= (select max(bucket) from unnest(touched) bucket))
        );
        return query select * from refresh_wholes(
            array_fill(make_wholes.exchange, array[cardinality(sound)]),
            array_fill(make_wholes.symbol, array[cardinality(sound)]), sound, step.part, step.whole, known);
    end loop;
end
$$;

COMMENT ON FUNCTION public.make_wholes(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) IS 'Makes the longer candles anew that rest on candles of a timeframe and that are known whole or there already; returns the rows it changed. The caller holds the lock of the series';

CREATE FUNCTION public.next_indicators(of_timeframe text, before timestamp with time zone, moment timestamp with time zone, renews boolean) RETURNS TABLE(exchange text, symbol text, momentum_10 double precision, state double precision[])
    LANGUAGE sql STABLE
    AS $$
    select due.exchange, due.symbol, price - before_it[19],
           array[average_gain, average_loss, fast, slow, signal_step(before_it[5], fast - slow),
                 case when renews then total_of(closes) else total end,
                 case when renews or squares < peak * 1e-3 then squares_of(closes) else squares end,
                 case when renews or squares < peak * 1e-3 then squares_of(closes) else greatest(squares, peak) end]
               || closes
    from (
        select candle.exchange, candle.symbol, candle.price, candle.before_it, before_it[8] as peak,
               wilder_step(before_it[1], rise(price - before_it[28])) as average_gain,
               wilder_step(before_it[2], rise(before_it[28] - price)) as average_loss,
               ema_step(before_it[3], price, 12) as fast, ema_step(before_it[4], price, 26) as slow,
               before_it[6] - before_it[9] + price as total,
               squares_step(before_it[7], before_it[6] - before_it[9] + price, price, before_it[9]) as squares,
               before_it[10:28] || price as closes
        from (
            select candles.exchange, candles.symbol, candles.close::double precision as price,
                   known.state as before_it
            from candles
            join indicator_states known
                on known.exchange = candles.exchange and known.symbol = candles.symbol
               and known.timeframe = of_timeframe and known.window_start = before
            where candles.window_start = moment and candles.timeframe = of_timeframe and candles.closed
            offset 0
        ) candle
        offset 0
    ) due
$$;

COMMENT ON FUNCTION public.next_indicators(of_timeframe text, before timestamp with time zone, moment timestamp with time zone, renews boolean) IS 'The state after the candles that start at a moment, of every series of a timeframe that has the state of the candle before; whether the sums are made anew there depends on the moment';

CREATE FUNCTION public.note_candles() RETURNS trigger
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
begin
    insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start)
    select exchange, symbol, timeframe, min(window_start), max(window_start)
    from written
    where closed
    group by exchange, symbol, timeframe;
    return null;
end
$$;

COMMENT ON FUNCTION public.note_candles() IS 'Notes which closed candles a statement wrote: their indicators are due';

CREATE FUNCTION public.overtake_held(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    by_whom constant text := 'overtaken by a candle';
begin
    -- Whoever decides a row holds it before he wants the candles: he is not waited for, and has the last word on it.
    update quarantine
    set released_at = clock_timestamp(), resolved_by = by_whom
    where id in (
        select id from quarantine
        where subject = 'candles_rest' and quarantine_is_open(quarantine)
          and payload ->> 'exchange' = overtake_held.exchange and payload ->> 'symbol' = overtake_held.symbol
          and payload ->> 'timeframe' = overtake_held.timeframe
          and key in (
              select concat_ws('|', overtake_held.exchange, overtake_held.symbol, overtake_held.timeframe,
                               to_char(start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00')
              from unnest(starts) start)
        for update skip locked);
    if overtake_held.timeframe <> '1m' or not exists (
        select from held_trades
        where exchange = overtake_held.exchange and symbol = overtake_held.symbol and minute = any (starts) and held
    ) then
        return;
    end if;
    with undecided as (
        -- Minutes of which nothing is undecided stay until the silence after them is stored, too.
        select minute, fingerprint, row_number from held_trades rows
        where exchange = overtake_held.exchange and symbol = overtake_held.symbol and minute = any (starts)
          and exists (
              select from held_trades waiting
              where waiting.minute = rows.minute and waiting.exchange = rows.exchange and waiting.symbol = rows.symbol
                and waiting.fingerprint = rows.fingerprint and waiting.held)
        for update skip locked
    ), gone as (
        delete from held_trades
        using undecided
        where held_trades.exchange = overtake_held.exchange and held_trades.symbol = overtake_held.symbol
          and held_trades.minute = undecided.minute and held_trades.fingerprint = undecided.fingerprint
          and held_trades.row_number = undecided.row_number
        returning held_trades.fingerprint, held_trades.row_number, held
    ), free as (
        select id from quarantine
        where subject = 'trades_import' and quarantine_is_open(quarantine)
          and key in (
              select fingerprint || ':' || row_number from gone
              where held and not exists (
                  select from held_trades kept
                  where kept.fingerprint = gone.fingerprint and kept.row_number = gone.row_number
                    and kept.minute <> all (starts)))
        for update skip locked
    )
    update quarantine
    set released_at = clock_timestamp(), resolved_by = by_whom
    where id in (select id from free);
end
$$;

COMMENT ON FUNCTION public.overtake_held(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) IS 'A fetched candle says what a window was: nothing of it waits in quarantine for a decision any more, but for what somebody decides at this moment';

CREATE TABLE public.archive_files (
    subject text NOT NULL,
    exchange text DEFAULT ''::text NOT NULL,
    symbol text DEFAULT ''::text NOT NULL,
    timeframe text DEFAULT ''::text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    month date GENERATED ALWAYS AS ((date_trunc('month'::text, (since AT TIME ZONE 'UTC'::text)))::date) STORED NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    path text NOT NULL,
    rows bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    schema_version integer NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL,
    verified_at timestamp with time zone DEFAULT now() NOT NULL,
    status text DEFAULT 'sound'::text NOT NULL,
    restored_until timestamp with time zone,
    CONSTRAINT archive_files_bytes_check CHECK ((bytes > 0)),
    CONSTRAINT archive_files_check CHECK (((since <= first_at) AND (first_at <= last_at) AND (last_at < until))),
    CONSTRAINT archive_files_revision_check CHECK ((revision >= 1)),
    CONSTRAINT archive_files_rows_check CHECK ((rows > 0)),
    CONSTRAINT archive_files_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT archive_files_status_check CHECK ((status = ANY (ARRAY['sound'::text, 'damaged'::text, 'absent'::text])))
);

COMMENT ON TABLE public.archive_files IS 'The files of the archive: what has left the database, read back and compared before.';

COMMENT ON COLUMN public.archive_files.subject IS 'What its rows are: candles, indicators, news or the name of a table.';

COMMENT ON COLUMN public.archive_files.exchange IS 'Exchange of its rows; empty: of all, or the rows have none.';

COMMENT ON COLUMN public.archive_files.symbol IS 'Pair of its rows; empty: of all, or the rows have none.';

COMMENT ON COLUMN public.archive_files.timeframe IS 'Length of its candles; empty: of all, or the rows have none.';

COMMENT ON COLUMN public.archive_files.since IS 'The file has what left the database from here on (UTC).';

COMMENT ON COLUMN public.archive_files.until IS 'End of that range, not included (UTC).';

COMMENT ON COLUMN public.archive_files.month IS 'First day of the month that the range lies in.';

COMMENT ON COLUMN public.archive_files.revision IS 'Goes up when rows that came late are put into a new file instead.';

COMMENT ON COLUMN public.archive_files.path IS 'Where it is, below the root of the archive.';

COMMENT ON COLUMN public.archive_files.rows IS 'Number of rows.';

COMMENT ON COLUMN public.archive_files.first_at IS 'Time of its first row (UTC).';

COMMENT ON COLUMN public.archive_files.last_at IS 'Time of its last row (UTC).';

COMMENT ON COLUMN public.archive_files.bytes IS 'Size of the file.';

COMMENT ON COLUMN public.archive_files.sha256 IS 'SHA-256 of the file, in hexadecimal.';

COMMENT ON COLUMN public.archive_files.schema_version IS 'Version of the layout: what kinds of columns and names it has.';

COMMENT ON COLUMN public.archive_files.written_at IS 'When it was written (UTC).';

COMMENT ON COLUMN public.archive_files.verified_at IS 'When it was read last, to compare it with the database or with its checksum (UTC).';

COMMENT ON COLUMN public.archive_files.status IS 'sound, damaged or absent, as it was when verified.';

COMMENT ON COLUMN public.archive_files.restored_until IS 'Its rows are back in the database, and stay until then (UTC); empty: they are not.';

CREATE FUNCTION public.parts_have_left(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (EXISTS (SELECT FROM public.archive_files files WHERE ((files.subject = 'candles'::text) AND (files.exchange = parts_have_left.exchange) AND (files.symbol = parts_have_left.symbol) AND (files.timeframe = parts_have_left.timeframe) AND (files.first_at < parts_have_left.until) AND (files.last_at >= parts_have_left.since))));

COMMENT ON FUNCTION public.parts_have_left(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'Whether candles of a range have moved to the archive: what is stored of them may be a few that came later';

CREATE TABLE public.quarantine (
    id bigint NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    expectation text,
    payload jsonb NOT NULL,
    origin jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    released_at timestamp with time zone,
    key text,
    series text,
    run text,
    occurrences bigint DEFAULT 1 NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    discarded_at timestamp with time zone,
    resolved_by text,
    CONSTRAINT quarantine_check CHECK (((released_at IS NULL) OR (discarded_at IS NULL))),
    CONSTRAINT quarantine_occurrences_check CHECK ((occurrences >= 1))
);

COMMENT ON TABLE public.quarantine IS 'What failed a gate, with the reason, until released or discarded. Kept 90 days; rows of imported trades until they are decided.';

COMMENT ON COLUMN public.quarantine.id IS 'Number of the row.';

COMMENT ON COLUMN public.quarantine.subject IS 'What it is about.';

COMMENT ON COLUMN public.quarantine.reason IS 'Why it was refused: what each expectation it failed is for.';

COMMENT ON COLUMN public.quarantine.expectation IS 'The first expectation it failed.';

COMMENT ON COLUMN public.quarantine.payload IS 'The refused row, whole.';

COMMENT ON COLUMN public.quarantine.origin IS 'Where it came from: topic, partition and offset, or source and run.';

COMMENT ON COLUMN public.quarantine.created_at IS 'When the row was made (UTC).';

COMMENT ON COLUMN public.quarantine.released_at IS 'When it was released (UTC).';

COMMENT ON COLUMN public.quarantine.key IS 'Natural key within the subject.';

COMMENT ON COLUMN public.quarantine.series IS 'What the row is one state of, such as coingecko|BTC: the newest failing state stands for all.';

COMMENT ON COLUMN public.quarantine.run IS 'The run that saw it last.';

COMMENT ON COLUMN public.quarantine.occurrences IS 'How often it was seen.';

COMMENT ON COLUMN public.quarantine.last_seen_at IS 'When it was seen last (UTC).';

COMMENT ON COLUMN public.quarantine.discarded_at IS 'When it was discarded (UTC): its key is not staged again.';

COMMENT ON COLUMN public.quarantine.resolved_by IS 'Who released or discarded it.';

CREATE FUNCTION public.quarantine_is_open(held public.quarantine) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    select held.released_at is null and held.discarded_at is null
$$;

COMMENT ON FUNCTION public.quarantine_is_open(held public.quarantine) IS 'Whether nobody has decided yet what becomes of a row';

CREATE FUNCTION public.quarantine_state(held public.quarantine) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case when held.released_at is not null then 'released' when held.discarded_at is not null then 'discarded'
           else 'open' end
$$;

COMMENT ON FUNCTION public.quarantine_state(held public.quarantine) IS 'open, released or discarded';

CREATE FUNCTION public.rebuild_indicators(of_exchange text, of_symbol text, of_timeframe text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, changed_until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET enable_nestloop TO 'off'
    AS $$
declare
    at_once constant integer := 20000;
    kept_every constant interval := 1000 * timeframe_length(of_timeframe);
    state_start timestamptz;
    carried double precision[];
    starts timestamptz[];
    prices double precision[];
    earlier integer;
    candles integer;
    first integer := 1;
    last integer;
    renewals integer[];
    after_start timestamptz;
    upto_start timestamptz;
    step record;
    written bigint := 0;
begin
    perform lock_indicators();
    perform lock_tiering(shared => true);

    select known.window_start, known.state into state_start, carried
    from (
        select window_start, state from indicators
        where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and state is not null
        union all
        select window_start, state from cold_storage.indicators
        where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and state is not null
    ) known
    where known.window_start < since
    order by known.window_start desc
    limit 1;

    select array_agg(candle.window_start), array_agg(candle.close) into starts, prices
    from (
        select stored.window_start, stored.close::double precision
        from (
            select window_start, close from candles
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and closed
            union all
            select window_start, close from cold_storage.candles
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and closed
        ) stored
        where stored.window_start > coalesce(state_start, '-infinity')
        order by stored.window_start
    ) candle;
    candles := coalesce(cardinality(starts), 0);
    if candles = 0 and carried is null then
        return 0;
    end if;
    prices := carried[9:28] || prices;
    earlier := coalesce(cardinality(carried) - 8, 0);

    loop
        last := least(first - 1 + case when carried is null then 34 else at_once end, candles);
        -- Rows older than the oldest candle were computed while their candles were still stored: they stay.
        after_start := case when first > 1 then starts[first - 1]
                            else coalesce(state_start, starts[1] - interval '1 microsecond') end;
        upto_start := case when last < candles then starts[last] else 'infinity' end;
        renewals := array(
            select number::integer
            from unnest(starts[first:last]) with ordinality candle (start, number)
            where start = date_bin(kept_every, start, 'epoch')
            order by number
        );

        with run as materialized (
            select values.*, starts[first - 1 + number] as window_start, (first - 1 + number + earlier)::integer as at
            from (
                select * from indicator_seed(prices[first:last]) with ordinality
                where carried is null
                union all
                select * from indicator_run(prices[first + earlier:last + earlier], carried, renewals) with ordinality
                where carried is not null
            ) values (average_gain, average_loss, fast, slow, signal, total, squares, peak, number)
        ), computed as (
            select run.window_start, relative_strength(run.average_gain, run.average_loss) as rsi_14,
                   case when run.signal is not null then run.fast - run.slow end as macd, run.signal as macd_signal,
                   run.fast - run.slow - run.signal as macd_histogram,
                   run.total / 20 + band_width(run.squares) as bollinger_upper, run.total / 20 as bollinger_middle,
                   run.total / 20 - band_width(run.squares) as bollinger_lower,
                   prices[run.at] - prices[run.at - 10] as momentum_10,
                   case when run.signal is not null
                             and run.window_start = date_bin(kept_every, run.window_start, 'epoch')
                       then array[run.average_gain, run.average_loss, run.fast, run.slow, run.signal, run.total,
                                  run.squares, run.peak] || prices[run.at - 19:run.at] end as state
            from run
        ), stored as materialized (
            select window_start, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle,
                   bollinger_lower, momentum_10, state, false as cold
            from indicators
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe
              and window_start > after_start and window_start <= upto_start
            union all
            select window_start, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle,
                   bollinger_lower, momentum_10, state, true
            from cold_storage.indicators
            where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe
              and window_start > after_start and window_start <= upto_start
        ), differing as materialized (
            select computed.*, stored.cold
            from computed left join stored using (window_start)
            where stored.window_start is null
               or (computed.rsi_14, computed.macd, computed.macd_signal, computed.macd_histogram,
                   computed.bollinger_upper, computed.bollinger_middle, computed.bollinger_lower,
                   computed.momentum_10, computed.state)
                  is distinct from
                  (stored.rsi_14, stored.macd, stored.macd_signal, stored.macd_histogram, stored.bollinger_upper,
                   stored.bollinger_middle, stored.bollinger_lower, stored.momentum_10, stored.state)
        ), orphaned as materialized (
            select window_start, cold from stored
            where not exists (select from unnest(starts[first:last]) start where start = stored.window_start)
        ), added as (
            insert into indicators (window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal,
                                    macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower, momentum_10,
                                    state)
            select window_start, of_exchange, of_symbol, of_timeframe, rsi_14, macd, macd_signal, macd_histogram,
                   bollinger_upper, bollinger_middle, bollinger_lower, momentum_10, state
            from differing
            where cold is null
        ), corrected as (
            update indicators hot
            set (rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower,
                 momentum_10, state, received_at)
                = (differing.rsi_14, differing.macd, differing.macd_signal, differing.macd_histogram,
                   differing.bollinger_upper, differing.bollinger_middle, differing.bollinger_lower,
                   differing.momentum_10, differing.state, now())
            from differing
            where not differing.cold and hot.window_start = differing.window_start and hot.exchange = of_exchange
              and hot.symbol = of_symbol and hot.timeframe = of_timeframe and hot.window_start > after_start
              and hot.window_start <= upto_start
        ), corrected_cold as (
            update cold_storage.indicators cold
            set (rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower,
                 momentum_10, state, received_at)
                = (differing.rsi_14, differing.macd, differing.macd_signal, differing.macd_histogram,
                   differing.bollinger_upper, differing.bollinger_middle, differing.bollinger_lower,
                   differing.momentum_10, differing.state, now())
            from differing
            where differing.cold and cold.window_start = differing.window_start and cold.exchange = of_exchange
              and cold.symbol = of_symbol and cold.timeframe = of_timeframe and cold.window_start > after_start
              and cold.window_start <= upto_start
        ), removed as (
            delete from indicators hot using orphaned
            where not orphaned.cold and hot.window_start = orphaned.window_start and hot.exchange = of_exchange
              and hot.symbol = of_symbol and hot.timeframe = of_timeframe and hot.window_start > after_start
              and hot.window_start <= upto_start
        ), removed_cold as (
            delete from cold_storage.indicators cold using orphaned
            where orphaned.cold and cold.window_start = orphaned.window_start and cold.exchange = of_exchange
              and cold.symbol = of_symbol and cold.timeframe = of_timeframe and cold.window_start > after_start
              and cold.window_start <= upto_start
        )
        select (select count(*) from differing) + (select count(*) from orphaned) as written,
               (select array[average_gain, average_loss, fast, slow, signal, total, squares, peak]
                       || prices[at - 19:at]
                from run where window_start = starts[last] and signal is not null) as state,
               exists (
                   select from stored
                   where state is not null and window_start > changed_until
                     and not exists (select from differing where differing.window_start = stored.window_start)
                     and not exists (select from orphaned where orphaned.window_start = stored.window_start)
               ) as settled
        into step;

        written := written + step.written;
        if step.settled then
            return written;
        end if;
        carried := coalesce(step.state, carried);
        exit when last = candles;
        first := last + 1;
    end loop;

    delete from indicator_states
    where exchange = of_exchange and symbol = of_symbol and timeframe = of_timeframe and carried is null;
    insert into indicator_states as stored (exchange, symbol, timeframe, window_start, state)
    select of_exchange, of_symbol, of_timeframe, coalesce(starts[candles], state_start), carried
    where carried is not null
    on conflict (exchange, symbol, timeframe) do update
        set (window_start, state) = (excluded.window_start, excluded.state)
        where (stored.window_start, stored.state) is distinct from (excluded.window_start, excluded.state);
    return written;
end
$$;

COMMENT ON FUNCTION public.rebuild_indicators(of_exchange text, of_symbol text, of_timeframe text, since timestamp with time zone, changed_until timestamp with time zone) IS 'Computes the indicators of a series anew from its closed candles, hot and cold, and writes the rows that differ; returns how many. With `since` only from the candle of that window on. With `changed_until` it stops where later rows are as they were: only if no candle after that window has changed';

CREATE FUNCTION public.recall_candles(exchanges text[], pairs text[], instants timestamp with time zone[]) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    moved bigint;
begin
    perform lock_tiering(shared => true);
    -- With the timeframe the index of a series serves, whatever else is of those days.
    with touched as materialized (
        select exchange, pair, day, timeframe
        from (
            select distinct exchange, pair, date_bin(interval '24 hours', instant, 'epoch') as day
            from unnest(exchanges, pairs, instants) given (exchange, pair, instant)
        ) days, unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe
    ), gone as (
        delete from cold_storage.candles cold using touched
        where cold.exchange = touched.exchange and cold.symbol = touched.pair and cold.timeframe = touched.timeframe
          and cold.window_start >= touched.day and cold.window_start < touched.day + interval '24 hours'
          and cold.window_start >= (select min(day) from touched)
          and cold.window_start < (select max(day) + interval '24 hours' from touched)
        returning cold.*
    ), back as (
        insert into candles select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do nothing
    )
    select count(*) into moved from gone;
    return moved;
end
$$;

COMMENT ON FUNCTION public.recall_candles(exchanges text[], pairs text[], instants timestamp with time zone[]) IS 'Brings the days that the instants touch back from cold_storage, so that old candles can be corrected in one place; call it before writing candles of a day that is partly older than a hot age or a week';

CREATE FUNCTION public.recall_fetched(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
declare
    first constant timestamptz := (select min(date_bin(interval '24 hours', start, 'epoch')) from unnest(starts) start);
begin
    if first < now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles')) then
        -- The longer candles are made of all minutes of their day; of candles that are longer themselves nothing is.
        if timeframe = '1m' then
            return recall_candles(array_fill(exchange, array[cardinality(starts)]),
                                  array_fill(symbol, array[cardinality(starts)]), starts);
        end if;
        return recall_windows(exchange, symbol, timeframe, starts);
    end if;
    return 0;
end
$$;

COMMENT ON FUNCTION public.recall_fetched(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) IS 'Brings back from cold_storage what candles of one series with these starts are written beside. In a transaction of its own before that the stream need not wait for it';

CREATE FUNCTION public.recall_windows(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    moved bigint;
begin
    perform lock_tiering(shared => true);
    with gone as (
        delete from cold_storage.candles
        where exchange = recall_windows.exchange and symbol = recall_windows.symbol
          and timeframe = recall_windows.timeframe and window_start = any(starts)
          and window_start >= (select min(start) from unnest(starts) start)
          and window_start <= (select max(start) from unnest(starts) start)
        returning *
    ), back as (
        insert into candles select * from gone
        on conflict (window_start, exchange, symbol, timeframe) do nothing
    )
    select count(*) into moved from gone;
    return moved;
end
$$;

COMMENT ON FUNCTION public.recall_windows(exchange text, symbol text, timeframe text, starts timestamp with time zone[]) IS 'Brings these candles of one series back from cold_storage, and no others: for candles that nothing longer is made of';

CREATE FUNCTION public.record_candle_gaps(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS SETOF public.candle_gaps
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.record_candle_gaps(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'Brings candle_gaps and completeness in line with the candles of a range, from its first midnight on: what is new, has grown, is filled in part or whole; labels are kept. Returns the rows it changed';

CREATE FUNCTION public.record_trade_gaps(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) RETURNS SETOF public.trade_gaps
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.record_trade_gaps(exchange text, pair text, since timestamp with time zone, until timestamp with time zone) IS 'Brings trade_gaps in line with the trades of a range, but for what the collector is at work on, what lies before its pair was collected, and what has left the database. Returns the rows it changed';

CREATE FUNCTION public.refresh_candles(exchanges text[], pairs text[], minutes timestamp with time zone[]) RETURNS SETOF public.candles
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
declare
    -- Of what is younger close_candles looks at the ids: every few seconds, and not with every batch.
    settled constant timestamptz := now() - interval '10 minutes';
    from_ts timestamptz;
    to_ts timestamptz;
    may_be_cold boolean := false;
    seen_exchanges text[] := '{}';
    seen_pairs text[] := '{}';
    seen tstzrange[] := '{}';
    old record;
    step record;
begin
    if cardinality(exchanges) is distinct from cardinality(pairs)
       or cardinality(pairs) is distinct from cardinality(minutes) then
        raise exception 'exchanges, pairs and minutes must be of one length';
    end if;
    select min(date_trunc('minute', m)), max(date_trunc('minute', m)) + interval '1 minute'
    into from_ts, to_ts
    from unnest(minutes) m;
    -- The longer candles are made of the whole day. No hot age is below a day: the live stream does not look it up.
    if date_bin(interval '24 hours', from_ts, 'epoch') < now() - interval '1 day' then
        may_be_cold := date_bin(interval '24 hours', from_ts, 'epoch')
                       < now() - least(interval '7 days', (select min(hot_age) from tiering_policy where subject = 'candles'));
    end if;
    if may_be_cold then
        perform lock_tiering(shared => true);
    end if;
    perform lock_series(exchanges, pairs);
    if may_be_cold then
        perform recall_candles(exchanges, pairs, minutes);
    end if;

    if from_ts < settled then
        for old in
            select exchange, pair, min(date_trunc('minute', instant)) as first,
                   max(date_trunc('minute', instant)) + interval '1 minute' as last
            from unnest(exchanges, pairs, minutes) given (exchange, pair, instant)
            group by exchange, pair, date_bin(interval '1 hour', instant, 'epoch')
            having min(instant) < settled
        loop
            seen_exchanges := seen_exchanges || old.exchange;
            seen_pairs := seen_pairs || old.pair;
            seen := seen || cover_trades(old.exchange, old.pair, old.first, old.last);
        end loop;
    end if;

    -- Of the newest minute of each pair the sums up to a second before the batch's earliest trade are kept in
    -- candle_checkpoint. They hold as long as nothing arrives below `upto`; if it does, the minute is read afresh.
    return query
    with touched as materialized (
        select given.exchange, given.pair, date_trunc('minute', given.instant) as minute,
               min(given.instant) as earliest,
               date_trunc('minute', given.instant)
                   = max(date_trunc('minute', given.instant)) over (partition by given.exchange, given.pair) as newest
        from unnest(exchanges, pairs, minutes) given (exchange, pair, instant)
        group by given.exchange, given.pair, date_trunc('minute', given.instant)
    ), ranges as materialized (
        select touched.*, known.exchange is not null as has_checkpoint, known.minute = touched.minute
                   and known.upto <= touched.earliest as usable,
               known.high as known_high, known.low as known_low, known.volume as known_volume,
               known.trade_count as known_count,
               case when known.minute = touched.minute and known.upto <= touched.earliest
                   then known.upto else touched.minute end as start
        from touched
        left join candle_checkpoint known
            on touched.newest and known.exchange = touched.exchange and known.pair = touched.pair
    ), marked as materialized (
        select *, case when newest then greatest(start, earliest - interval '1 second') else start end as mark
        from ranges
    ), sums as materialized (
        select marked.exchange, marked.pair, marked.minute, marked.newest, marked.has_checkpoint, marked.mark,
               greatest(case when usable then known_high end, before.high) as mark_high,
               least(case when usable then known_low end, before.low) as mark_low,
               coalesce(case when usable then known_volume end, 0) + coalesce(before.volume, 0) as mark_volume,
               coalesce(case when usable then known_count end, 0) + before.trade_count as mark_count,
               after.high, after.low, after.volume, after.trade_count
        from marked
        cross join lateral (
            select max(price) as high, min(price) as low, sum(volume) as volume, count(*) as trade_count
            from trade_data
            where marked.mark > marked.start
              and exchange = marked.exchange and pair = marked.pair
              and "timestamp" >= marked.start and "timestamp" < marked.mark
              and "timestamp" >= from_ts and "timestamp" < to_ts
        ) before
        cross join lateral (
            select max(price) as high, min(price) as low, sum(volume) as volume, count(*) as trade_count
            from trade_data
            where exchange = marked.exchange and pair = marked.pair
              and "timestamp" >= marked.mark and "timestamp" < marked.minute + interval '1 minute'
              and "timestamp" >= from_ts and "timestamp" < to_ts
        ) after
    ), checkpoints as (
        insert into candle_checkpoint as stored (exchange, pair, minute, upto, high, low, volume, trade_count)
        select sums.exchange, sums.pair, sums.minute, sums.mark, sums.mark_high, sums.mark_low, sums.mark_volume,
               sums.mark_count
        from sums
        where sums.newest and (sums.has_checkpoint or sums.mark_count + sums.trade_count > 500)
        on conflict (exchange, pair) do update
            set (minute, upto, high, low, volume, trade_count)
                = (excluded.minute, excluded.upto, excluded.high, excluded.low, excluded.volume, excluded.trade_count)
            where excluded.minute >= stored.minute
    ), changed as (
        insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
                                       volume, trade_count, closed, source, received_at)
        select sums.minute, sums.minute + interval '1 minute', sums.exchange, sums.pair, '1m',
               opening.price, greatest(sums.mark_high, sums.high), least(sums.mark_low, sums.low), closing.price,
               sums.mark_volume + coalesce(sums.volume, 0), sums.mark_count + sums.trade_count,
               sums.minute + interval '1 minute' <= now()
                   and is_covered(sums.exchange, sums.pair, sums.minute, sums.minute + interval '1 minute'),
               'stream', now()
        from sums
        cross join lateral (
            select price from trade_data
            where exchange = sums.exchange and pair = sums.pair
              and "timestamp" >= sums.minute and "timestamp" < sums.minute + interval '1 minute'
              and "timestamp" >= from_ts and "timestamp" < to_ts
            order by "timestamp", trade_id limit 1
        ) opening
        cross join lateral (
            select price from trade_data
            where exchange = sums.exchange and pair = sums.pair
              and "timestamp" >= sums.minute and "timestamp" < sums.minute + interval '1 minute'
              and "timestamp" >= from_ts and "timestamp" < to_ts
            order by "timestamp" desc, trade_id desc limit 1
        ) closing
        on conflict (window_start, exchange, symbol, timeframe) do update
            set (open, high, low, close, volume, trade_count, closed, received_at)
                = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
                   stored.closed or excluded.closed, excluded.received_at)
            -- Trades leave the table after a month; a latecomer must not replace the candle by itself alone.
            where stored.source = 'stream'
              and is_no_less(excluded.volume, excluded.trade_count,
                             case when stored.trade_count = 0 then stored.volume else 0 end, stored.trade_count)
              and (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count,
                   stored.closed)
                  is distinct from
                  (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
                   stored.closed or excluded.closed)
        returning stored.*
    )
    select * from changed;
    perform judge_again(exchanges, pairs, minutes);

    for step in
        select * from (values ('1m', '5m'), ('5m', '15m'), ('15m', '1h'), ('1h', '1d')) steps (part, whole)
    loop
        return query select * from refresh_wholes(exchanges, pairs, minutes, step.part, step.whole);
    end loop;
    -- What is known now may complete windows beside those that were touched.
    if cardinality(seen) > 0 then
        return query select * from close_known_candles(seen_exchanges, seen_pairs, seen);
    end if;
end
$$;

COMMENT ON FUNCTION public.refresh_candles(exchanges text[], pairs text[], minutes timestamp with time zone[]) IS 'Recomputes the candles of every timeframe that the minutes touch, and returns the rows it changed. For each minute give the earliest instant of what is new in it: the minute itself is right too, but a busy minute is then read whole';

CREATE FUNCTION public.refresh_completeness(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.refresh_completeness(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone) IS 'Sums up the days of a range from candle_gaps; only for record_candle_gaps and rule_candle_gaps, which know that these are right. Returns the number of days that changed';

CREATE FUNCTION public.refresh_newest_indicators() RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
declare
    computed bigint;
begin
    perform lock_indicators();
    -- Noted candles are taken out before they are read: whatever is written after that is noted once more.
    with newest as (
        select timeframe, timeframe_length(timeframe) as length,
               date_bin(timeframe_length(timeframe), clock_timestamp(), 'epoch') - timeframe_length(timeframe) as start
        from unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe
    ), taken as (
        delete from indicator_changes using newest
        where indicator_changes.timeframe = newest.timeframe
          and indicator_changes.first_start >= newest.start - 2 * newest.length
          and indicator_changes.last_start <= newest.start
        returning indicator_changes.*
    ), moments as (
        select taken.timeframe,
               generate_series(min(taken.first_start), newest.start, newest.length) as moment
        from taken join newest using (timeframe)
        group by taken.timeframe, newest.start, newest.length
        order by 2
    ), advanced as materialized (
        select moments.timeframe, moments.moment, done.exchange, done.symbol
        from moments cross join lateral advance_indicators(moments.timeframe, moments.moment) done
    ), left_over as (
        insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start, noted_at)
        select exchange, symbol, timeframe, first_start, last_start, noted_at
        from taken
        where not exists (
            select from advanced
            where advanced.exchange = taken.exchange and advanced.symbol = taken.symbol
              and advanced.timeframe = taken.timeframe and advanced.moment = taken.first_start
        )
    )
    select count(*) into computed from advanced;
    return computed;
end
$$;

COMMENT ON FUNCTION public.refresh_newest_indicators() IS 'Computes the indicators of noted candles that are among the newest of their timeframe, all series at once; returns the number of candles. What cannot be done that way stays noted';

CREATE FUNCTION public.refresh_next_indicators() RETURNS TABLE(exchange text, symbol text, timeframe text, written bigint)
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    due record;
begin
    perform lock_indicators();
    select * into due from indicator_changes order by number limit 1;
    if not found then
        return;
    end if;
    with taken as (
        delete from indicator_changes
        where (exchange, symbol, timeframe) = (due.exchange, due.symbol, due.timeframe)
        returning first_start, last_start
    )
    select due.exchange as exchange, due.symbol as symbol, due.timeframe as timeframe,
           min(first_start) as first_start, max(last_start) as last_start
    into due
    from taken;
    return query
    select due.exchange, due.symbol, due.timeframe,
           rebuild_indicators(due.exchange, due.symbol, due.timeframe, due.first_start, due.last_start);
end
$$;

COMMENT ON FUNCTION public.refresh_next_indicators() IS 'Brings the indicators of the series that was noted first up to date from its first change on; returns it and the number of rows written, or nothing where nothing is noted';

CREATE FUNCTION public.refresh_wholes(exchanges text[], pairs text[], instants timestamp with time zone[], part text, whole text, known timestamp with time zone[] DEFAULT NULL::timestamp with time zone[]) RETURNS SETOF public.candles
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
declare
    length constant interval := timeframe_length(whole);
    from_ts timestamptz;
    to_ts timestamptz;
begin
    select min(date_bin(length, i, 'epoch')), max(date_bin(length, i, 'epoch')) + length
    into from_ts, to_ts
    from unnest(instants) i;

    return query
    insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
                                   volume, trade_count, closed, source, received_at)
    select touched.bucket, touched.bucket + length, touched.exchange, touched.pair, whole,
           coalesce(parts.opens[1], parts.quiet_open), coalesce(parts.high, parts.quiet_high),
           coalesce(parts.low, parts.quiet_low), coalesce(parts.closes[parts.traded_parts], parts.quiet_closes[parts.candles]),
           parts.volume, parts.trade_count,
           touched.bucket + length <= now()
               and case when known is null then is_covered(touched.exchange, touched.pair, touched.bucket, touched.bucket + length)
                        else touched.bucket in (select unnest(known)) end
               and not parts_have_left(touched.exchange, touched.pair, part, touched.bucket, touched.bucket + length),
           'stream', now()
    from (
        select distinct exchange, pair, date_bin(length, instant, 'epoch') as bucket
        from unnest(exchanges, pairs, instants) given (exchange, pair, instant)
    ) touched
    cross join lateral (
        select array_agg(ordered.open) filter (where has_trades) as opens,
               array_agg(ordered.close) filter (where has_trades) as closes,
               max(ordered.high) filter (where has_trades) as high,
               min(ordered.low) filter (where has_trades) as low, count(*) filter (where has_trades) as traded_parts,
               (array_agg(ordered.open))[1] as quiet_open, max(ordered.high) as quiet_high,
               min(ordered.low) as quiet_low, array_agg(ordered.close) as quiet_closes, count(*) as candles,
               sum(ordered.volume) as volume, summed_trades(sum(ordered.trade_count), bool_or(uncounted)) as trade_count
        from (
            select candles.open, candles.high, candles.low, candles.close, candles.volume, candles.trade_count,
                   traded(candles.volume, candles.trade_count) as has_trades,
                   candles.volume > 0 and candles.trade_count = 0 as uncounted
            from candles
            where exchange = touched.exchange and symbol = touched.pair and timeframe = part
              and window_start >= touched.bucket and window_start < touched.bucket + length
              and window_start >= from_ts and window_start < to_ts
            order by window_start
        ) ordered
    ) parts
    where parts.candles > 0
    on conflict (window_start, exchange, symbol, timeframe) do update
        set (open, high, low, close, volume, trade_count, closed, received_at)
            = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               stored.closed or excluded.closed, excluded.received_at)
        where stored.source = 'stream'
          -- Shorter candles leave the database before the longer ones: some of them must not replace what all came to.
          and (not stored.closed or excluded.closed
               or is_no_less(excluded.volume, excluded.trade_count, stored.volume, stored.trade_count))
          and (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count, stored.closed)
              is distinct from
              (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               stored.closed or excluded.closed)
    returning stored.*;
end
$$;

COMMENT ON FUNCTION public.refresh_wholes(exchanges text[], pairs text[], instants timestamp with time zone[], part text, whole text, known timestamp with time zone[]) IS 'Recomputes the candles of one timeframe from the next shorter one; only for those who hold the lock. `known`: the windows that are known whole, where the caller has looked; else those are of which all trades are stored';

CREATE FUNCTION public.relative_strength(gain double precision, loss double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (gain < '1e-290'::double precision) THEN (0)::double precision ELSE ((100)::double precision * (gain / (gain + loss))) END;

CREATE FUNCTION public.remove_archived(relation regclass, time_column name, since timestamp with time zone, until timestamp with time zone, series jsonb, expected_rows bigint, expected_digest numeric) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET jit TO 'off'
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
    condition constant text := archive_where(time_column, since, until, series);
    removed record;
    chunk record;
    whole boolean := true;
    drops tstzrange[] := '{}';
begin
    if exists (select from pg_class where oid = relation and relnamespace = 'cold_storage'::regnamespace) then
        perform lock_tiering(shared => false);
    end if;
    -- A table that is split by time is freed by dropping whole chunks: nobody may write to them meanwhile.
    if edition() <> 'plain' and series = '{}' then
        for chunk in execute
            'select format(''%I.%I'', chunk_schema, chunk_name) as name, range_start, range_end
             from timescaledb_information.chunks
             where format(''%I.%I'', hypertable_schema, hypertable_name)::regclass = $1
               and range_start < $3 and range_end > $2
             order by range_start'
            using relation, since, until
        loop
            whole := whole and chunk.range_start >= since and chunk.range_end <= until;
            exit when not whole;
            execute format('lock table %s in share row exclusive mode', chunk.name);
            drops := drops || tstzrange(chunk.range_start, chunk.range_end);
        end loop;
    end if;
    whole := whole and cardinality(drops) > 0;
    if whole then
        select * into removed from archive_digest(relation, condition);
    else
        execute format('with gone as (delete from %s where %s returning *) '
                       'select count(*) as rows, coalesce(sum(hash_record_extended(gone, 0)), 0) as digest from gone',
                       relation, condition)
        into removed;
    end if;
    if (removed.rows, removed.digest) is distinct from (expected_rows, expected_digest) then
        raise exception 'rows of % changed while they were being archived', relation
            using errcode = 'serialization_failure';
    end if;
    for i in 1..case when whole then cardinality(drops) else 0 end loop
        perform drop_chunk(relation, lower(drops[i]), upper(drops[i]));
    end loop;
    return removed.rows;
end
$_$;

COMMENT ON FUNCTION public.remove_archived(relation regclass, time_column name, since timestamp with time zone, until timestamp with time zone, series jsonb, expected_rows bigint, expected_digest numeric) IS 'Removes the rows of a range if they still come to the digest, whole chunks at once where no series is given; else it raises a serialization failure and removes nothing';

CREATE FUNCTION public.replace_candle_gaps(known public.candle_gaps[], wanted public.candle_gaps[]) RETURNS SETOF public.candle_gaps
    LANGUAGE sql
    SET jit TO 'off'
    AS $$
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

CREATE FUNCTION public.replace_trade_gaps(known public.trade_gaps[], wanted public.trade_gaps[]) RETURNS SETOF public.trade_gaps
    LANGUAGE sql
    SET jit TO 'off'
    AS $$
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

CREATE FUNCTION public.rise(change double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (change > (0)::double precision) THEN change ELSE (0)::double precision END;

CREATE FUNCTION public.rule_candle_gaps(exchange text, symbol text, timeframe text, starts timestamp with time zone[], ends timestamp with time zone[], labels text[], statuses text[], confirmations integer[], due_at timestamp with time zone[], details jsonb[]) RETURNS SETOF public.candle_gaps
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.rule_candle_gaps(exchange text, symbol text, timeframe text, starts timestamp with time zone[], ends timestamp with time zone[], labels text[], statuses text[], confirmations integer[], due_at timestamp with time zone[], details jsonb[]) IS 'Writes down what became known of stretches that are still missing: label, status, confirmations, when to ask again. Returns the rows it changed';

CREATE FUNCTION public.settle_candles(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone, reopen boolean DEFAULT false) RETURNS TABLE(corrected bigint, closed bigint, reopened bigint, made bigint, differing bigint)
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_nestloop TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(timeframe);
    from_ts constant timestamptz := date_bin(length, since, 'epoch');
    to_ts constant timestamptz := date_bin(length, until + length - interval '1 microsecond', 'epoch');
begin
    perform lock_candles();
    perform lock_series(array[settle_candles.exchange], array[settle_candles.symbol]);
    return query
    with actions as materialized (
        select * from candle_corrections(settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe,
                                         from_ts, to_ts, reopen)
    ), changes as materialized (
        select * from actions where action = 'change'
    ), hot as (
        update candles kept
        set (open, high, low, close, volume, trade_count, closed, received_at)
            = (changes.open, changes.high, changes.low, changes.close, changes.volume, changes.trade_count,
               changes.closes, now())
        from changes
        where changes.tier = 'hot' and kept.window_start = bucket and kept.exchange = settle_candles.exchange
          and kept.symbol = settle_candles.symbol and kept.timeframe = settle_candles.timeframe
          and kept.source = 'stream' and kept.window_start >= from_ts and kept.window_start < to_ts
    ), cold as (
        update cold_storage.candles kept
        set (open, high, low, close, volume, trade_count, closed, received_at)
            = (changes.open, changes.high, changes.low, changes.close, changes.volume, changes.trade_count,
               changes.closes, now())
        from changes
        where changes.tier = 'cold' and kept.window_start = bucket and kept.exchange = settle_candles.exchange
          and kept.symbol = settle_candles.symbol and kept.timeframe = settle_candles.timeframe
          and kept.source = 'stream' and kept.window_start >= from_ts and kept.window_start < to_ts
    ), fresh as (
        insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                             trade_count, closed, source)
        select bucket, bucket + length, settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe, open,
               high, low, close, volume, trade_count, true, 'stream'
        from actions
        where action = 'make'
        returning window_start
    ), noted as (
        insert into indicator_changes (exchange, symbol, timeframe, first_start, last_start)
        select settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe, min(bucket), max(bucket)
        from changes
        where was_closed or closes
        having count(*) > 0
    ), differences as (
        insert into candle_differences (
            window_start, exchange, symbol, timeframe, stream_open, stream_high, stream_low, stream_close,
            stream_volume, stream_trade_count, rest_open, rest_high, rest_low, rest_close, rest_volume,
            rest_trade_count)
        select bucket, settle_candles.exchange, settle_candles.symbol, settle_candles.timeframe, open, high, low, close,
               volume, trade_count, kept_open, kept_high, kept_low, kept_close, kept_volume, kept_count
        from actions
        where action = 'differ'
        on conflict (window_start, exchange, symbol, timeframe) do update
            set (stream_open, stream_high, stream_low, stream_close, stream_volume, stream_trade_count, rest_open,
                 rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
                = (excluded.stream_open, excluded.stream_high, excluded.stream_low, excluded.stream_close,
                   excluded.stream_volume, excluded.stream_trade_count, excluded.rest_open, excluded.rest_high,
                   excluded.rest_low, excluded.rest_close, excluded.rest_volume, excluded.rest_trade_count, null,
                   null)
        returning window_start
    ), agreeing as (
        -- Whichever of the two has changed: they are the same now.
        update candle_differences differing
        set (rest_open, rest_high, rest_low, rest_close, rest_volume, rest_trade_count, cause, explained_at)
            = (kept_open, kept_high, kept_low, kept_close, kept_volume, kept_count, null, null)
        from actions
        where action = 'agree' and differing.window_start = bucket and differing.exchange = settle_candles.exchange
          and differing.symbol = settle_candles.symbol and differing.timeframe = settle_candles.timeframe
          and differing.window_start >= from_ts and differing.window_start < to_ts
    )
    select count(*) filter (where differs), count(*) filter (where closes and not was_closed),
           count(*) filter (where was_closed and not closes), (select count(*) from fresh),
           (select count(*) from differences)
    from changes;
end
$$;

COMMENT ON FUNCTION public.settle_candles(exchange text, symbol text, timeframe text, since timestamp with time zone, until timestamp with time zone, reopen boolean) IS 'Looks over the candles of one timeframe of a series in a range, the shorter ones first: makes longer ones anew that were made here, closes what is known, keeps how fetched longer candles differ from what their parts come to. With `reopen` closed candles that are not known whole are opened again. Returns how many changed';

CREATE FUNCTION public.settle_coverage(exchange text, pair text, since timestamp with time zone, until timestamp with time zone, trades bigint) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    upto timestamptz := least(until, since + interval '1 hour');
    looked_at tstzrange;
begin
    -- A busy hour has a hundred thousand trades: as many as are looked at while the stream waits.
    upto := least(upto, (
        select greatest("timestamp", since + interval '1 microsecond') from trade_data
        where trade_data.exchange = settle_coverage.exchange and trade_data.pair = settle_coverage.pair
          and "timestamp" >= since and "timestamp" < upto
        order by "timestamp" offset greatest(trades, 1) limit 1));
    perform lock_candles();
    perform lock_series(array[exchange], array[settle_coverage.pair]);
    looked_at := cover_trades(exchange, settle_coverage.pair, since, upto);
    -- Where nobody traded for long there is nothing to look at.
    return least(until, greatest(upto, upper(looked_at)));
end
$$;

COMMENT ON FUNCTION public.settle_coverage(exchange text, pair text, since timestamp with time zone, until timestamp with time zone, trades bigint) IS 'Brings trade_coverage in line with an hour of trades from `since` on, or with so many trades where there are more; returns where to go on. Call it until that is `until`, each time in a transaction of its own';

CREATE FUNCTION public.signal_step(signal double precision, macd double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (abs(signal) < '1e-290'::double precision) THEN (macd * (0.2)::double precision) ELSE (((macd - signal) * (0.2)::double precision) + signal) END;

CREATE FUNCTION public.squares_of(closes double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select sum((close - mean) * (close - mean))
    from unnest(closes) close, (select avg(close) from unnest(closes) close) means (mean)
$$;

CREATE FUNCTION public.squares_step(squares double precision, total double precision, value double precision, gone double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (squares + ((value - gone) * ((value + gone) - ((((total + total) - value) + gone) / (20)::double precision))));

CREATE FUNCTION public.store_fetched_candles(exchange text, symbol text, timeframe text, starts timestamp with time zone[], opens numeric[], highs numeric[], lows numeric[], closes numeric[], volumes numeric[], trade_counts bigint[]) RETURNS SETOF public.candles
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
declare
    length constant interval := timeframe_length(store_fetched_candles.timeframe);
    exchanges constant text[] := array_fill(store_fetched_candles.exchange, array[cardinality(starts)]);
    symbols constant text[] := array_fill(store_fetched_candles.symbol, array[cardinality(starts)]);
    first constant timestamptz := (select min(date_bin(interval '24 hours', start, 'epoch')) from unnest(starts) start);
    last constant timestamptz := (select max(start) + interval '24 hours' from unnest(starts) start);
begin
    perform lock_candles();
    perform lock_series(exchanges, symbols);
    perform recall_fetched(store_fetched_candles.exchange, store_fetched_candles.symbol,
                           store_fetched_candles.timeframe, starts);
    perform overtake_held(store_fetched_candles.exchange, store_fetched_candles.symbol, store_fetched_candles.timeframe,
                          starts);
    return query
    insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,
                                   volume, trade_count, closed, source, received_at)
    select given.start, given.start + length, store_fetched_candles.exchange, store_fetched_candles.symbol,
           store_fetched_candles.timeframe, given.open, given.high, given.low, given.close, given.volume,
           given.trade_count, true, 'rest', now()
    from unnest(starts, opens, highs, lows, closes, volumes, trade_counts)
        given (start, open, high, low, close, volume, trade_count)
    on conflict (window_start, exchange, symbol, timeframe) do update
        set (open, high, low, close, volume, trade_count, closed, source, received_at)
            = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               excluded.closed, excluded.source, excluded.received_at)
        where (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count, stored.closed,
               stored.source)
              is distinct from
              (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trade_count,
               excluded.closed, excluded.source)
    returning stored.*;

    -- What longer candles are made of them settle_candles makes, wherever their parts lie.
    return query
    select * from make_wholes(store_fetched_candles.exchange, store_fetched_candles.symbol, '1m', starts)
    where store_fetched_candles.timeframe = '1m';
end
$$;

COMMENT ON FUNCTION public.store_fetched_candles(exchange text, symbol text, timeframe text, starts timestamp with time zone[], opens numeric[], highs numeric[], lows numeric[], closes numeric[], volumes numeric[], trade_counts bigint[]) IS 'Stores closed candles of one series as an exchange gave them, and makes the longer ones that nobody fetched anew. Returns the rows it changed';

CREATE FUNCTION public.summed_trades(trade_count numeric, uncounted boolean) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN uncounted THEN (0)::bigint ELSE (trade_count)::bigint END;

COMMENT ON FUNCTION public.summed_trades(trade_count numeric, uncounted boolean) IS 'The number of trades of a candle made of shorter ones: 0 as soon as one of them has trades that nobody counted';

CREATE FUNCTION public.tier_old_candles(batch_rows integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    due record;
    since timestamptz;
    until timestamptz;
    step bigint;
    moved bigint := 0;
begin
    perform lock_tiering(shared => false);
    for due in
        select timeframe, now() - hot_age - timeframe_length(timeframe) as last_start
        from tiering_policy
        where subject = 'candles' and hot_age is not null
        order by hot_age
    loop
        exit when moved >= batch_rows;
        select window_start into since from candles
        where timeframe = due.timeframe and window_start <= due.last_start
        order by window_start limit 1;
        continue when not found;
        select window_start into until from candles
        where timeframe = due.timeframe and window_start between since and due.last_start
        order by window_start offset batch_rows - moved limit 1;
        until := case when until is null then due.last_start + interval '1 microsecond'
                      when until = since then until + interval '1 microsecond' else until end;
        if exists (
            select from cold_storage.candles
            where timeframe = due.timeframe and window_start >= since and window_start < until
        ) then
            delete from candles hot using cold_storage.candles cold
            where cold.window_start = hot.window_start and cold.exchange = hot.exchange
              and cold.symbol = hot.symbol and cold.timeframe = hot.timeframe
              and cold.window_start >= since and cold.window_start < until and hot.window_start >= since
              and hot.window_start < until and hot.timeframe = due.timeframe
              and hot.source = 'stream' and cold.source = 'rest';
            get diagnostics step = row_count;
            moved := moved + step;
            delete from cold_storage.candles cold using candles hot
            where cold.window_start = hot.window_start and cold.exchange = hot.exchange
              and cold.symbol = hot.symbol and cold.timeframe = hot.timeframe
              and cold.window_start >= since and cold.window_start < until and hot.window_start >= since
              and hot.window_start < until and hot.timeframe = due.timeframe;
        end if;
        with gone as (
            delete from candles
            where timeframe = due.timeframe and window_start >= since and window_start < until
            returning *
        )
        insert into cold_storage.candles select * from gone;
        get diagnostics step = row_count;
        moved := moved + step;
    end loop;
    return moved;
end
$$;

COMMENT ON FUNCTION public.tier_old_candles(batch_rows integer) IS 'Moves one batch of candles older than their timeframe''s hot age to cold_storage; returns the number of rows that left, those included that cold_storage has better';

CREATE FUNCTION public.tier_old_indicators(batch_rows integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    due record;
    since timestamptz;
    until timestamptz;
    step bigint;
    moved bigint := 0;
begin
    perform lock_tiering(shared => false);
    for due in
        select timeframe, now() - hot_age - timeframe_length(timeframe) as last_start
        from tiering_policy
        where subject = 'indicators' and hot_age is not null
        order by hot_age
    loop
        exit when moved >= batch_rows;
        select window_start into since from indicators
        where timeframe = due.timeframe and window_start <= due.last_start
        order by window_start limit 1;
        continue when not found;
        select window_start into until from indicators
        where timeframe = due.timeframe and window_start between since and due.last_start
        order by window_start offset batch_rows - moved limit 1;
        until := case when until is null then due.last_start + interval '1 microsecond'
                      when until = since then until + interval '1 microsecond' else until end;
        if exists (
            select from cold_storage.indicators
            where timeframe = due.timeframe and window_start >= since and window_start < until
        ) then
            delete from cold_storage.indicators cold using indicators hot
            where cold.window_start = hot.window_start and cold.exchange = hot.exchange
              and cold.symbol = hot.symbol and cold.timeframe = hot.timeframe
              and cold.window_start >= since and cold.window_start < until and hot.window_start >= since
              and hot.window_start < until and hot.timeframe = due.timeframe;
        end if;
        with gone as (
            delete from indicators
            where timeframe = due.timeframe and window_start >= since and window_start < until
            returning *
        )
        insert into cold_storage.indicators select * from gone;
        get diagnostics step = row_count;
        moved := moved + step;
    end loop;
    return moved;
end
$$;

COMMENT ON FUNCTION public.tier_old_indicators(batch_rows integer) IS 'Moves one batch of indicators older than their timeframe''s hot age to cold_storage; returns the number of rows';

CREATE FUNCTION public.tier_old_news(batch_rows integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    last timestamptz;
    since timestamptz;
    until timestamptz;
    settled bigint := 0;
    moved bigint;
begin
    perform lock_tiering(shared => false);
    select now() - hot_age into last from tiering_policy where subject = 'news';
    select "timestamp" into since from article_data where "timestamp" <= last order by "timestamp" limit 1;
    select "timestamp" into until from article_data
    where "timestamp" between since and last
    order by "timestamp" offset batch_rows limit 1;
    until := case when until is null then last + interval '1 microsecond'
                  when until = since then until + interval '1 microsecond' else until end;
    if exists (select from cold_storage.article_data where "timestamp" >= since and "timestamp" < until) then
        delete from article_data hot using cold_storage.article_data cold
        where cold."timestamp" = hot."timestamp" and cold.website = hot.website and cold.article_id = hot.article_id
          and hot."timestamp" >= since and hot."timestamp" < until and hot.revision < cold.revision;
        get diagnostics settled = row_count;
        delete from cold_storage.article_data cold using article_data hot
        where cold."timestamp" = hot."timestamp" and cold.website = hot.website and cold.article_id = hot.article_id
          and hot."timestamp" >= since and hot."timestamp" < until;
    end if;
    with gone as (
        delete from article_data where "timestamp" >= since and "timestamp" < until returning *
    )
    insert into cold_storage.article_data select * from gone;
    get diagnostics moved = row_count;
    return settled + moved;
end
$$;

COMMENT ON FUNCTION public.tier_old_news(batch_rows integer) IS 'Moves one batch of articles older than their hot age to cold_storage; returns the number of rows that left, those included that cold_storage has newer';

CREATE FUNCTION public.time_bucket(bucket_width interval, ts timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
        select case
            when extract(year from bucket_width) = 0 and extract(month from bucket_width) = 0
                then date_bin(bucket_width, ts, '2000-01-03 00:00:00+00')
            else (make_date(
                (((extract(year from ts at time zone 'UTC') * 12 + extract(month from ts at time zone 'UTC') - 1)::int
                  / (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int)
                 * (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int) / 12,
                (((extract(year from ts at time zone 'UTC') * 12 + extract(month from ts at time zone 'UTC') - 1)::int
                  / (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int)
                 * (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int) % 12 + 1,
                1)::timestamp at time zone 'UTC')
        end
    $$;

CREATE FUNCTION public.timeframe_length(timeframe text) RETURNS interval
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE timeframe WHEN '1m'::text THEN '00:01:00'::interval WHEN '5m'::text THEN '00:05:00'::interval WHEN '15m'::text THEN '00:15:00'::interval WHEN '1h'::text THEN '01:00:00'::interval WHEN '1d'::text THEN '24:00:00'::interval ELSE NULL::interval END;

CREATE FUNCTION public.total_of(closes double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select sum(close) from unnest(closes) close
$$;

CREATE FUNCTION public.touched_candles(exchanges text[], pairs text[], minutes timestamp with time zone[]) RETURNS SETOF public.candles
    LANGUAGE sql STABLE
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    select candles.*
    from (
        select distinct exchange, pair, timeframe, date_bin(timeframe_length(timeframe), instant, 'epoch') as bucket
        from unnest(exchanges, pairs, minutes) given (exchange, pair, instant),
             unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe
    ) touched
    join candles on candles.exchange = touched.exchange and candles.symbol = touched.pair
                and candles.timeframe = touched.timeframe and candles.window_start = touched.bucket
$$;

COMMENT ON FUNCTION public.touched_candles(exchanges text[], pairs text[], minutes timestamp with time zone[]) IS 'The stored candles of every timeframe that the minutes touch, changed or not';

CREATE FUNCTION public.trade_gap_is_due(gap public.trade_gaps, at timestamp with time zone, silent_since timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    select gap.made_after is not null and gap.made_before is not null
       and gap_waits(gap.status, gap.due_at, gap.asked_at, at, silent_since)
       and not trade_gap_is_left(gap)
$$;

COMMENT ON FUNCTION public.trade_gap_is_due(gap public.trade_gaps, at timestamp with time zone, silent_since timestamp with time zone) IS 'Whether to ask an exchange about missing trades: the gap waits, it is not the collector''s, and its trades have not left the database';

CREATE FUNCTION public.trade_gap_is_left(gap public.trade_gaps) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    select gap.made_after is not null and (
        not exists (
            select from trade_data
            where exchange = gap.exchange and pair = gap.pair and "timestamp" <= gap.made_after)
        or exists (
            select from archive_files
            where subject = 'trade_data' and restored_until is null
              and since < gap.made_before and until > gap.made_after))
$$;

COMMENT ON FUNCTION public.trade_gap_is_left(gap public.trade_gaps) IS 'Whether trades beside or within a gap have left the database, so that nothing more can be said of it';

CREATE FUNCTION public.trade_gap_parts(gap public.trade_gaps, ids int8multirange) RETURNS SETOF public.trade_gaps
    LANGUAGE plpgsql IMMUTABLE
    AS $$
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

COMMENT ON FUNCTION public.trade_gap_parts(gap public.trade_gaps, ids int8multirange) IS 'The parts of a gap whose ids are among these, each a gap of its own that is like the whole in all else';

CREATE FUNCTION public.traded(volume numeric, trade_count bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((volume > (0)::numeric) OR (trade_count > 0));

COMMENT ON FUNCTION public.traded(volume numeric, trade_count bigint) IS 'Whether a candle has trades. Interfaces that count no trades give 0 beside a volume';

CREATE FUNCTION public.whole_minutes(timeframe text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ((EXTRACT(epoch FROM public.timeframe_length(timeframe)))::bigint / 60);

COMMENT ON FUNCTION public.whole_minutes(timeframe text) IS 'How many minutes a window of a timeframe has';

CREATE FUNCTION public.whole_windows(length interval, since timestamp with time zone, until timestamp with time zone) RETURNS tstzrange
    LANGUAGE sql STABLE
    RETURN CASE WHEN (date_bin(length, ((since + length) - '00:00:00.000001'::interval), '1970-01-01 00:00:00+00'::timestamp with time zone) < date_bin(length, until, '1970-01-01 00:00:00+00'::timestamp with time zone)) THEN tstzrange(date_bin(length, ((since + length) - '00:00:00.000001'::interval), '1970-01-01 00:00:00+00'::timestamp with time zone), date_bin(length, until, '1970-01-01 00:00:00+00'::timestamp with time zone)) ELSE 'empty'::tstzrange END;

COMMENT ON FUNCTION public.whole_windows(length interval, since timestamp with time zone, until timestamp with time zone) IS 'The part of a range that whole windows fill';

CREATE FUNCTION public.wilder_step(average double precision, amount double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((average * (13)::double precision) + amount) / (14)::double precision);

CREATE FUNCTION public.write_coverage(exchange text, pair text, stretch tstzrange, whole tstzmultirange) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    known tstzmultirange;
begin
    select coalesce(range_agg(tstzrange(covered.since, covered.until, '()')), '{}') into known
    from trade_coverage covered
    where covered.exchange = write_coverage.exchange and covered.pair = write_coverage.pair
      and covered.since < upper(stretch) and covered.until > lower(stretch);
    if whole <@ known then
        return;
    end if;
    delete from trade_coverage covered
    where covered.exchange = write_coverage.exchange and covered.pair = write_coverage.pair
      and covered.since < upper(stretch) and covered.until > lower(stretch);
    insert into trade_coverage (exchange, pair, since, until)
    select write_coverage.exchange, write_coverage.pair, lower(part), upper(part) from unnest(known + whole) part;
end
$$;

COMMENT ON FUNCTION public.write_coverage(exchange text, pair text, stretch tstzrange, whole tstzmultirange) IS 'Adds to trade_coverage the parts of a stretch of time that were found whole. The caller holds the lock of the series';

CREATE AGGREGATE public.first(value double precision, at timestamp with time zone) (
    SFUNC = public.first_step,
    STYPE = public.dated_double_precision,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.first(value bigint, at timestamp with time zone) (
    SFUNC = public.first_step,
    STYPE = public.dated_bigint,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.first(value numeric, at timestamp with time zone) (
    SFUNC = public.first_step,
    STYPE = public.dated_numeric,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.first(value text, at timestamp with time zone) (
    SFUNC = public.first_step,
    STYPE = public.dated_text,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.last(value double precision, at timestamp with time zone) (
    SFUNC = public.last_step,
    STYPE = public.dated_double_precision,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.last(value bigint, at timestamp with time zone) (
    SFUNC = public.last_step,
    STYPE = public.dated_bigint,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.last(value numeric, at timestamp with time zone) (
    SFUNC = public.last_step,
    STYPE = public.dated_numeric,
    FINALFUNC = public.dated_value
);

CREATE AGGREGATE public.last(value text, at timestamp with time zone) (
    SFUNC = public.last_step,
    STYPE = public.dated_text,
    FINALFUNC = public.dated_value
);

CREATE TABLE cold_storage.article_data (
    "timestamp" timestamp with time zone NOT NULL,
    website text NOT NULL,
    article_id text NOT NULL,
    title text NOT NULL,
    url text NOT NULL,
    summary text,
    cryptocurrencies_mentioned text[] DEFAULT '{}'::text[] NOT NULL,
    sentiment_score double precision,
    sentiment_label text,
    revision integer DEFAULT 1 NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    published_known boolean,
    CONSTRAINT article_data_revision_check CHECK ((revision >= 1)),
    CONSTRAINT article_data_sentiment_label_check CHECK ((sentiment_label = ANY (ARRAY['positive'::text, 'neutral'::text, 'negative'::text]))),
    CONSTRAINT article_data_sentiment_score_check CHECK (((sentiment_score >= (0)::double precision) AND (sentiment_score <= (1)::double precision)))
);

COMMENT ON TABLE cold_storage.article_data IS 'Articles older than their hot age.';

COMMENT ON COLUMN cold_storage.article_data."timestamp" IS 'When it was published, by the publisher''s word if published_known, else when we first saw it (UTC).';

COMMENT ON COLUMN cold_storage.article_data.website IS 'The site that published it.';

COMMENT ON COLUMN cold_storage.article_data.article_id IS 'The feed''s guid where it stands for this article alone, else its link, else a digest of its words.';

COMMENT ON COLUMN cold_storage.article_data.title IS 'Headline.';

COMMENT ON COLUMN cold_storage.article_data.url IS 'Address.';

COMMENT ON COLUMN cold_storage.article_data.summary IS 'Summary of the feed, or the beginning of the text.';

COMMENT ON COLUMN cold_storage.article_data.cryptocurrencies_mentioned IS 'Base coins that the text mentions.';

COMMENT ON COLUMN cold_storage.article_data.sentiment_score IS 'How it sounds: 0 is negative, 1 is positive.';

COMMENT ON COLUMN cold_storage.article_data.sentiment_label IS 'positive above 0.6, negative below 0.4, else neutral.';

COMMENT ON COLUMN cold_storage.article_data.revision IS 'Counts the versions the site published, from 1.';

COMMENT ON COLUMN cold_storage.article_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN cold_storage.article_data.published_known IS 'The time is the publisher''s word; false: it is when we first saw the article; null: stored before this was noted.';

CREATE TABLE cold_storage.candles (
    window_start timestamp with time zone NOT NULL,
    window_end timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    trade_count bigint DEFAULT 0 NOT NULL,
    closed boolean DEFAULT false NOT NULL,
    source text DEFAULT 'stream'::text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT candles_check CHECK ((window_end > window_start)),
    CONSTRAINT candles_check1 CHECK (((low > (0)::numeric) AND (low <= LEAST(open, close)) AND (high >= GREATEST(open, close)))),
    CONSTRAINT candles_source_check CHECK ((source = ANY (ARRAY['stream'::text, 'rest'::text]))),
    CONSTRAINT candles_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text]))),
    CONSTRAINT candles_trade_count_check CHECK ((trade_count >= 0)),
    CONSTRAINT candles_volume_check CHECK ((volume >= (0)::numeric)),
    CONSTRAINT finite_numbers CHECK (((high < 'Infinity'::numeric) AND (volume < 'Infinity'::numeric)))
);

COMMENT ON TABLE cold_storage.candles IS 'Candles older than their hot age.';

COMMENT ON COLUMN cold_storage.candles.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN cold_storage.candles.window_end IS 'First instant after the window (UTC).';

COMMENT ON COLUMN cold_storage.candles.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN cold_storage.candles.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN cold_storage.candles.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN cold_storage.candles.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN cold_storage.candles.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN cold_storage.candles.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN cold_storage.candles.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN cold_storage.candles.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN cold_storage.candles.trade_count IS 'Number of trades.';

COMMENT ON COLUMN cold_storage.candles.closed IS 'The window has ended, and every minute of it is known.';

COMMENT ON COLUMN cold_storage.candles.source IS 'stream: built from trades; rest: fetched closed, which wins.';

COMMENT ON COLUMN cold_storage.candles.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE cold_storage.indicators (
    window_start timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    rsi_14 double precision,
    macd double precision,
    macd_signal double precision,
    macd_histogram double precision,
    bollinger_upper double precision,
    bollinger_middle double precision,
    bollinger_lower double precision,
    momentum_10 double precision,
    state double precision[],
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT indicators_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
);

COMMENT ON TABLE cold_storage.indicators IS 'Indicators older than their hot age.';

COMMENT ON COLUMN cold_storage.indicators.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN cold_storage.indicators.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN cold_storage.indicators.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN cold_storage.indicators.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN cold_storage.indicators.rsi_14 IS 'Relative strength index over 14 candles, 0 to 100.';

COMMENT ON COLUMN cold_storage.indicators.macd IS 'Moving average convergence divergence, 12 and 26 candles; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.macd_signal IS 'Average of macd over 9 candles; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.macd_histogram IS 'macd less its signal; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.bollinger_upper IS 'Middle plus two standard deviations; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.bollinger_middle IS 'Mean close of 20 candles; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.bollinger_lower IS 'Middle less two standard deviations; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.momentum_10 IS 'Close less the close 10 candles before; quote coin.';

COMMENT ON COLUMN cold_storage.indicators.state IS 'State of the recurrences after every thousandth window.';

COMMENT ON COLUMN cold_storage.indicators.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.action_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text DEFAULT SESSION_USER NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE public.action_log IS 'Who did what by hand: starts, stops, releases, changes.';

COMMENT ON COLUMN public.action_log.id IS 'Number of the row.';

COMMENT ON COLUMN public.action_log.at IS 'When (UTC).';

COMMENT ON COLUMN public.action_log.actor IS 'Who.';

COMMENT ON COLUMN public.action_log.action IS 'What was done.';

COMMENT ON COLUMN public.action_log.subject IS 'What it is about.';

COMMENT ON COLUMN public.action_log.detail IS 'Further facts.';

ALTER TABLE public.action_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.action_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.alert_data (
    "timestamp" timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    pair text NOT NULL,
    alert_type text NOT NULL,
    last_price numeric NOT NULL,
    change_percent double precision NOT NULL,
    threshold double precision NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT alert_data_last_price_check CHECK ((last_price > (0)::numeric)),
    CONSTRAINT finite_numbers CHECK (((last_price < 'Infinity'::numeric) AND (abs(change_percent) < 'Infinity'::double precision) AND (abs(threshold) < 'Infinity'::double precision)))
);

COMMENT ON TABLE public.alert_data IS 'Prices that moved at least the threshold within the alert window. Kept 90 days.';

COMMENT ON COLUMN public.alert_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.alert_data.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.alert_data.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.alert_data.alert_type IS 'Which way the price moved: price_up or price_down.';

COMMENT ON COLUMN public.alert_data.last_price IS 'Price that raised the alert; quote coin.';

COMMENT ON COLUMN public.alert_data.change_percent IS 'The move, signed, in percent.';

COMMENT ON COLUMN public.alert_data.threshold IS 'The threshold it reached, in percent.';

COMMENT ON COLUMN public.alert_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE VIEW public.all_candles AS
 SELECT candles.window_start,
    candles.window_end,
    candles.exchange,
    candles.symbol,
    candles.timeframe,
    candles.open,
    candles.high,
    candles.low,
    candles.close,
    candles.volume,
    candles.trade_count,
    candles.closed,
    candles.source,
    candles.received_at,
    'hot'::text AS tier
   FROM public.candles
UNION ALL
 SELECT candles.window_start,
    candles.window_end,
    candles.exchange,
    candles.symbol,
    candles.timeframe,
    candles.open,
    candles.high,
    candles.low,
    candles.close,
    candles.volume,
    candles.trade_count,
    candles.closed,
    candles.source,
    candles.received_at,
    'cold'::text AS tier
   FROM cold_storage.candles;

COMMENT ON VIEW public.all_candles IS 'Candles, hot and cold.';

COMMENT ON COLUMN public.all_candles.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.all_candles.window_end IS 'First instant after the window (UTC).';

COMMENT ON COLUMN public.all_candles.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.all_candles.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.all_candles.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.all_candles.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.all_candles.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.all_candles.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.all_candles.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.all_candles.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.all_candles.trade_count IS 'Number of trades.';

COMMENT ON COLUMN public.all_candles.closed IS 'The window has ended, and every minute of it is known.';

COMMENT ON COLUMN public.all_candles.source IS 'Where it comes from.';

COMMENT ON COLUMN public.all_candles.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.all_candles.tier IS 'Where the row lives: hot or cold.';

CREATE TABLE public.indicators (
    window_start timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    rsi_14 double precision,
    macd double precision,
    macd_signal double precision,
    macd_histogram double precision,
    bollinger_upper double precision,
    bollinger_middle double precision,
    bollinger_lower double precision,
    momentum_10 double precision,
    state double precision[],
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT indicators_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
);

COMMENT ON TABLE public.indicators IS 'Technical indicators of each candle. Older ones: all_indicators.';

COMMENT ON COLUMN public.indicators.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.indicators.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.indicators.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.indicators.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.indicators.rsi_14 IS 'Relative strength index over 14 candles, 0 to 100.';

COMMENT ON COLUMN public.indicators.macd IS 'Moving average convergence divergence, 12 and 26 candles; quote coin.';

COMMENT ON COLUMN public.indicators.macd_signal IS 'Average of macd over 9 candles; quote coin.';

COMMENT ON COLUMN public.indicators.macd_histogram IS 'macd less its signal; quote coin.';

COMMENT ON COLUMN public.indicators.bollinger_upper IS 'Middle plus two standard deviations; quote coin.';

COMMENT ON COLUMN public.indicators.bollinger_middle IS 'Mean close of 20 candles; quote coin.';

COMMENT ON COLUMN public.indicators.bollinger_lower IS 'Middle less two standard deviations; quote coin.';

COMMENT ON COLUMN public.indicators.momentum_10 IS 'Close less the close 10 candles before; quote coin.';

COMMENT ON COLUMN public.indicators.state IS 'State of the recurrences after every thousandth window; corrections start there.';

COMMENT ON COLUMN public.indicators.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE VIEW public.all_indicators AS
 SELECT indicators.window_start,
    indicators.exchange,
    indicators.symbol,
    indicators.timeframe,
    indicators.rsi_14,
    indicators.macd,
    indicators.macd_signal,
    indicators.macd_histogram,
    indicators.bollinger_upper,
    indicators.bollinger_middle,
    indicators.bollinger_lower,
    indicators.momentum_10,
    indicators.received_at,
    'hot'::text AS tier
   FROM public.indicators
UNION ALL
 SELECT indicators.window_start,
    indicators.exchange,
    indicators.symbol,
    indicators.timeframe,
    indicators.rsi_14,
    indicators.macd,
    indicators.macd_signal,
    indicators.macd_histogram,
    indicators.bollinger_upper,
    indicators.bollinger_middle,
    indicators.bollinger_lower,
    indicators.momentum_10,
    indicators.received_at,
    'cold'::text AS tier
   FROM cold_storage.indicators;

COMMENT ON VIEW public.all_indicators IS 'Indicators, hot and cold.';

COMMENT ON COLUMN public.all_indicators.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.all_indicators.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.all_indicators.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.all_indicators.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.all_indicators.rsi_14 IS 'Relative strength index over 14 candles, 0 to 100.';

COMMENT ON COLUMN public.all_indicators.macd IS 'Moving average convergence divergence, 12 and 26 candles; quote coin.';

COMMENT ON COLUMN public.all_indicators.macd_signal IS 'Average of macd over 9 candles; quote coin.';

COMMENT ON COLUMN public.all_indicators.macd_histogram IS 'macd less its signal; quote coin.';

COMMENT ON COLUMN public.all_indicators.bollinger_upper IS 'Middle plus two standard deviations; quote coin.';

COMMENT ON COLUMN public.all_indicators.bollinger_middle IS 'Mean close of 20 candles; quote coin.';

COMMENT ON COLUMN public.all_indicators.bollinger_lower IS 'Middle less two standard deviations; quote coin.';

COMMENT ON COLUMN public.all_indicators.momentum_10 IS 'Close less the close 10 candles before; quote coin.';

COMMENT ON COLUMN public.all_indicators.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.all_indicators.tier IS 'Where the row lives: hot or cold.';

CREATE TABLE public.article_data (
    "timestamp" timestamp with time zone NOT NULL,
    website text NOT NULL,
    article_id text NOT NULL,
    title text NOT NULL,
    url text NOT NULL,
    summary text,
    cryptocurrencies_mentioned text[] DEFAULT '{}'::text[] NOT NULL,
    sentiment_score double precision,
    sentiment_label text,
    revision integer DEFAULT 1 NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    published_known boolean,
    CONSTRAINT article_data_revision_check CHECK ((revision >= 1)),
    CONSTRAINT article_data_sentiment_label_check CHECK ((sentiment_label = ANY (ARRAY['positive'::text, 'neutral'::text, 'negative'::text]))),
    CONSTRAINT article_data_sentiment_score_check CHECK (((sentiment_score >= (0)::double precision) AND (sentiment_score <= (1)::double precision)))
);

COMMENT ON TABLE public.article_data IS 'News articles with their sentiment; the newest revision of each. Older ones: all_news.';

COMMENT ON COLUMN public.article_data."timestamp" IS 'When it was published, by the publisher''s word if published_known, else when we first saw it (UTC).';

COMMENT ON COLUMN public.article_data.website IS 'The site that published it.';

COMMENT ON COLUMN public.article_data.article_id IS 'The feed''s guid where it stands for this article alone, else its link, else a digest of its words.';

COMMENT ON COLUMN public.article_data.title IS 'Headline.';

COMMENT ON COLUMN public.article_data.url IS 'Address.';

COMMENT ON COLUMN public.article_data.summary IS 'Summary of the feed, or the beginning of the text.';

COMMENT ON COLUMN public.article_data.cryptocurrencies_mentioned IS 'Base coins that the text mentions.';

COMMENT ON COLUMN public.article_data.sentiment_score IS 'How it sounds: 0 is negative, 1 is positive.';

COMMENT ON COLUMN public.article_data.sentiment_label IS 'positive above 0.6, negative below 0.4, else neutral.';

COMMENT ON COLUMN public.article_data.revision IS 'Counts the versions the site published, from 1.';

COMMENT ON COLUMN public.article_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.article_data.published_known IS 'The time is the publisher''s word; false: it is when we first saw the article; null: stored before this was noted.';

CREATE VIEW public.all_news AS
 SELECT article_data."timestamp",
    article_data.website,
    article_data.article_id,
    article_data.title,
    article_data.url,
    article_data.summary,
    article_data.cryptocurrencies_mentioned,
    article_data.sentiment_score,
    article_data.sentiment_label,
    article_data.revision,
    article_data.received_at,
    'hot'::text AS tier,
    article_data.published_known
   FROM public.article_data
UNION ALL
 SELECT article_data."timestamp",
    article_data.website,
    article_data.article_id,
    article_data.title,
    article_data.url,
    article_data.summary,
    article_data.cryptocurrencies_mentioned,
    article_data.sentiment_score,
    article_data.sentiment_label,
    article_data.revision,
    article_data.received_at,
    'cold'::text AS tier,
    article_data.published_known
   FROM cold_storage.article_data;

COMMENT ON VIEW public.all_news IS 'Articles, hot and cold.';

COMMENT ON COLUMN public.all_news."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.all_news.website IS 'The site that published it.';

COMMENT ON COLUMN public.all_news.article_id IS 'The feed''s guid where it stands for this article alone, else its link, else a digest of its words.';

COMMENT ON COLUMN public.all_news.title IS 'Headline.';

COMMENT ON COLUMN public.all_news.url IS 'Address.';

COMMENT ON COLUMN public.all_news.summary IS 'Summary of the feed, or the beginning of the text.';

COMMENT ON COLUMN public.all_news.cryptocurrencies_mentioned IS 'Base coins that the text mentions.';

COMMENT ON COLUMN public.all_news.sentiment_score IS 'How it sounds: 0 is negative, 1 is positive.';

COMMENT ON COLUMN public.all_news.sentiment_label IS 'positive above 0.6, negative below 0.4, else neutral.';

COMMENT ON COLUMN public.all_news.revision IS 'Counts the versions the site published, from 1.';

COMMENT ON COLUMN public.all_news.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.all_news.tier IS 'Where the row lives: hot or cold.';

COMMENT ON COLUMN public.all_news.published_known IS 'The time is the publisher''s word; false: it is when we first saw the article; null: stored before this was noted.';

CREATE TABLE public.analytics_data (
    "timestamp" timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    pair text NOT NULL,
    mean double precision NOT NULL,
    stddev double precision,
    min double precision NOT NULL,
    max double precision NOT NULL,
    volatility_percent double precision,
    observations bigint NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT analytics_data_observations_check CHECK ((observations >= 1)),
    CONSTRAINT finite_numbers CHECK (((abs(max) < 'Infinity'::double precision) AND (abs(mean) < 'Infinity'::double precision) AND (abs(min) < 'Infinity'::double precision) AND (abs(stddev) < 'Infinity'::double precision) AND (abs(volatility_percent) < 'Infinity'::double precision)))
);

COMMENT ON TABLE public.analytics_data IS 'Statistics of a market in sliding windows. Kept 90 days.';

COMMENT ON COLUMN public.analytics_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.analytics_data.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.analytics_data.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.analytics_data.mean IS 'Mean price in the window; quote coin.';

COMMENT ON COLUMN public.analytics_data.stddev IS 'Standard deviation of the price in the window; quote coin.';

COMMENT ON COLUMN public.analytics_data.min IS 'Lowest price in the window; quote coin.';

COMMENT ON COLUMN public.analytics_data.max IS 'Highest price in the window; quote coin.';

COMMENT ON COLUMN public.analytics_data.volatility_percent IS 'Standard deviation in percent of the mean.';

COMMENT ON COLUMN public.analytics_data.observations IS 'Number of prices in the window.';

COMMENT ON COLUMN public.analytics_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.anomaly_data (
    "timestamp" timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    pair text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    expected double precision,
    score double precision,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT anomaly_data_kind_check CHECK ((kind = ANY (ARRAY['zscore'::text, 'divergence'::text]))),
    CONSTRAINT finite_numbers CHECK (((abs(expected) < 'Infinity'::double precision) AND (abs(score) < 'Infinity'::double precision) AND (abs(value) < 'Infinity'::double precision)))
);

COMMENT ON TABLE public.anomaly_data IS 'Values that stand out of their trailing window or contradict another source. Kept 365 days.';

COMMENT ON COLUMN public.anomaly_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.anomaly_data.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.anomaly_data.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.anomaly_data.kind IS 'zscore: beyond the trailing window; divergence: sources contradict each other.';

COMMENT ON COLUMN public.anomaly_data.value IS 'The value that stands out.';

COMMENT ON COLUMN public.anomaly_data.expected IS 'The value that would have been usual.';

COMMENT ON COLUMN public.anomaly_data.score IS 'How far beyond the usual, in standard deviations or percent.';

COMMENT ON COLUMN public.anomaly_data.detail IS 'Further facts.';

COMMENT ON COLUMN public.anomaly_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.article_revisions (
    website text NOT NULL,
    article_id text NOT NULL,
    revision integer NOT NULL,
    digest text NOT NULL,
    published_at timestamp with time zone NOT NULL,
    title text NOT NULL,
    first_seen timestamp with time zone NOT NULL,
    url text,
    CONSTRAINT article_revisions_revision_check CHECK ((revision >= 1))
);

COMMENT ON TABLE public.article_revisions IS 'Every revision of every article ever seen: what is in it is not new. Kept for ever.';

COMMENT ON COLUMN public.article_revisions.website IS 'The site that published it.';

COMMENT ON COLUMN public.article_revisions.article_id IS 'The feed''s guid where it stands for this article alone, else its link, else a digest of its words.';

COMMENT ON COLUMN public.article_revisions.revision IS 'Counts the versions the site published, from 1.';

COMMENT ON COLUMN public.article_revisions.digest IS 'SHA-256 of title, address, summary, text and date of this revision.';

COMMENT ON COLUMN public.article_revisions.published_at IS 'The revision''s own date; where it has none, when it was first seen (UTC).';

COMMENT ON COLUMN public.article_revisions.title IS 'Headline.';

COMMENT ON COLUMN public.article_revisions.first_seen IS 'When a poll first found it (UTC).';

COMMENT ON COLUMN public.article_revisions.url IS 'Its address; null where it was stored before addresses were.';

CREATE TABLE public.backfill_progress (
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    start_ts timestamp with time zone NOT NULL,
    end_ts timestamp with time zone NOT NULL,
    current_position_ts timestamp with time zone,
    total_candles bigint DEFAULT 0 NOT NULL,
    processed_candles bigint DEFAULT 0 NOT NULL,
    error_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    published_ts timestamp with time zone,
    covered_from timestamp with time zone,
    from_first boolean DEFAULT false NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone,
    CONSTRAINT backfill_progress_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT backfill_progress_check CHECK ((end_ts >= start_ts)),
    CONSTRAINT backfill_progress_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'in_progress'::text, 'completed'::text, 'failed'::text]))),
    CONSTRAINT backfill_progress_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
);

COMMENT ON TABLE public.backfill_progress IS 'How far the history of each series has been fetched. Kept for ever.';

COMMENT ON COLUMN public.backfill_progress.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.backfill_progress.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.backfill_progress.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.backfill_progress.status IS 'pending, in_progress, completed or failed.';

COMMENT ON COLUMN public.backfill_progress.start_ts IS 'Beginning of the history asked for (UTC).';

COMMENT ON COLUMN public.backfill_progress.end_ts IS 'End of the history asked for (UTC).';

COMMENT ON COLUMN public.backfill_progress.current_position_ts IS 'Everything before it is stored (UTC).';

COMMENT ON COLUMN public.backfill_progress.total_candles IS 'Candles in the whole range.';

COMMENT ON COLUMN public.backfill_progress.processed_candles IS 'Candles stored so far.';

COMMENT ON COLUMN public.backfill_progress.error_message IS 'Why it failed last.';

COMMENT ON COLUMN public.backfill_progress.created_at IS 'When the row was made (UTC).';

COMMENT ON COLUMN public.backfill_progress.updated_at IS 'When the row was changed last (UTC).';

COMMENT ON COLUMN public.backfill_progress.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.backfill_progress.published_ts IS 'Everything before it is judged and published; up to the position it is staged.';

COMMENT ON COLUMN public.backfill_progress.covered_from IS 'From there to the end an earlier backfill has fetched; empty: none has.';

COMMENT ON COLUMN public.backfill_progress.from_first IS 'It begins with the first candle that the exchange has.';

COMMENT ON COLUMN public.backfill_progress.attempts IS 'Failures in a row without a page in between.';

COMMENT ON COLUMN public.backfill_progress.due_at IS 'When it is tried again after a failure (UTC).';

CREATE TABLE public.candle_checkpoint (
    exchange text NOT NULL,
    pair text NOT NULL,
    minute timestamp with time zone NOT NULL,
    upto timestamp with time zone NOT NULL,
    high numeric,
    low numeric,
    volume numeric NOT NULL,
    trade_count bigint NOT NULL,
    CONSTRAINT candle_checkpoint_check CHECK (((upto >= minute) AND (upto <= (minute + '00:01:00'::interval)))),
    CONSTRAINT finite_numbers CHECK (((abs(high) < 'Infinity'::numeric) AND (abs(low) < 'Infinity'::numeric) AND (abs(volume) < 'Infinity'::numeric)))
)
WITH (fillfactor='50');

COMMENT ON TABLE public.candle_checkpoint IS 'Sums of the newest busy minute of each pair; private to refresh_candles.';

COMMENT ON COLUMN public.candle_checkpoint.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.candle_checkpoint.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.candle_checkpoint.minute IS 'Start of the minute (UTC).';

COMMENT ON COLUMN public.candle_checkpoint.upto IS 'The sums hold all trades before it (UTC).';

COMMENT ON COLUMN public.candle_checkpoint.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.candle_checkpoint.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.candle_checkpoint.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.candle_checkpoint.trade_count IS 'Number of trades.';

CREATE TABLE public.candle_differences (
    window_start timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    stream_open numeric NOT NULL,
    stream_high numeric NOT NULL,
    stream_low numeric NOT NULL,
    stream_close numeric NOT NULL,
    stream_volume numeric NOT NULL,
    stream_trade_count bigint NOT NULL,
    rest_open numeric NOT NULL,
    rest_high numeric NOT NULL,
    rest_low numeric NOT NULL,
    rest_close numeric NOT NULL,
    rest_volume numeric NOT NULL,
    rest_trade_count bigint NOT NULL,
    cause text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    explained_at timestamp with time zone,
    CONSTRAINT candle_differences_cause_check CHECK ((cause = ANY (ARRAY['missing_trades'::text, 'late_trades'::text, 'rounding'::text, 'source_revised'::text, 'unexplained'::text]))),
    CONSTRAINT candle_differences_check CHECK (((cause IS NULL) = (explained_at IS NULL))),
    CONSTRAINT candle_differences_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text]))),
    CONSTRAINT finite_numbers CHECK (((abs(rest_close) < 'Infinity'::numeric) AND (abs(rest_high) < 'Infinity'::numeric) AND (abs(rest_low) < 'Infinity'::numeric) AND (abs(rest_open) < 'Infinity'::numeric) AND (abs(rest_volume) < 'Infinity'::numeric) AND (abs(stream_close) < 'Infinity'::numeric) AND (abs(stream_high) < 'Infinity'::numeric) AND (abs(stream_low) < 'Infinity'::numeric) AND (abs(stream_open) < 'Infinity'::numeric) AND (abs(stream_volume) < 'Infinity'::numeric)))
);

COMMENT ON TABLE public.candle_differences IS 'Where a fetched candle is not what its trades had come to, and why. Kept for ever.';

COMMENT ON COLUMN public.candle_differences.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.candle_differences.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.candle_differences.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.candle_differences.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.candle_differences.stream_open IS 'What the trades had come to.';

COMMENT ON COLUMN public.candle_differences.stream_high IS 'What the trades had come to.';

COMMENT ON COLUMN public.candle_differences.stream_low IS 'What the trades had come to.';

COMMENT ON COLUMN public.candle_differences.stream_close IS 'What the trades had come to.';

COMMENT ON COLUMN public.candle_differences.stream_volume IS 'What the trades had come to.';

COMMENT ON COLUMN public.candle_differences.stream_trade_count IS 'What the trades had come to.';

COMMENT ON COLUMN public.candle_differences.rest_open IS 'What was fetched.';

COMMENT ON COLUMN public.candle_differences.rest_high IS 'What was fetched.';

COMMENT ON COLUMN public.candle_differences.rest_low IS 'What was fetched.';

COMMENT ON COLUMN public.candle_differences.rest_close IS 'What was fetched.';

COMMENT ON COLUMN public.candle_differences.rest_volume IS 'What was fetched.';

COMMENT ON COLUMN public.candle_differences.rest_trade_count IS 'What was fetched.';

COMMENT ON COLUMN public.candle_differences.cause IS 'missing_trades, late_trades, rounding, source_revised or unexplained; empty: not yet looked into.';

COMMENT ON COLUMN public.candle_differences.detail IS 'The evidence in words, and every number that differs.';

COMMENT ON COLUMN public.candle_differences.found_at IS 'When it was found (UTC).';

COMMENT ON COLUMN public.candle_differences.explained_at IS 'When its cause was written down (UTC).';

CREATE TABLE public.candle_repairs (
    exchange text NOT NULL,
    symbol text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    "position" timestamp with time zone NOT NULL,
    corrected bigint DEFAULT 0 NOT NULL,
    closed bigint DEFAULT 0 NOT NULL,
    reopened bigint DEFAULT 0 NOT NULL,
    made bigint DEFAULT 0 NOT NULL,
    finished_at timestamp with time zone,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT candle_repairs_check CHECK (((since <= "position") AND ("position" <= until)))
);

COMMENT ON TABLE public.candle_repairs IS 'Pairs whose stored candles are looked over once, after an upgrade or when asked for.';

COMMENT ON COLUMN public.candle_repairs.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.candle_repairs.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.candle_repairs.since IS 'Midnight of the oldest day (UTC).';

COMMENT ON COLUMN public.candle_repairs.until IS 'Midnight after the newest day (UTC).';

COMMENT ON COLUMN public.candle_repairs."position" IS 'The days before are looked over (UTC).';

COMMENT ON COLUMN public.candle_repairs.corrected IS 'Candles whose numbers were corrected.';

COMMENT ON COLUMN public.candle_repairs.closed IS 'Candles that turned out to be known whole.';

COMMENT ON COLUMN public.candle_repairs.reopened IS 'Candles that were closed and are not known whole.';

COMMENT ON COLUMN public.candle_repairs.made IS 'Longer candles that lacked and were made.';

COMMENT ON COLUMN public.candle_repairs.finished_at IS 'When the last day was looked over (UTC); empty: days are left.';

COMMENT ON COLUMN public.candle_repairs.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE VIEW public.candles_hourly_summary AS
 SELECT public.time_bucket('01:00:00'::interval, all_candles.window_start) AS hour,
    all_candles.symbol,
    COALESCE(public.first(all_candles.open, all_candles.window_start) FILTER (WHERE public.traded(all_candles.volume, all_candles.trade_count)), public.first(all_candles.open, all_candles.window_start)) AS open,
    COALESCE(max(all_candles.high) FILTER (WHERE public.traded(all_candles.volume, all_candles.trade_count)), max(all_candles.high)) AS high,
    COALESCE(min(all_candles.low) FILTER (WHERE public.traded(all_candles.volume, all_candles.trade_count)), min(all_candles.low)) AS low,
    COALESCE(public.last(all_candles.close, all_candles.window_start) FILTER (WHERE public.traded(all_candles.volume, all_candles.trade_count)), public.last(all_candles.close, all_candles.window_start)) AS close,
    sum(all_candles.volume) AS volume,
    all_candles.exchange,
    count(*) AS minutes
   FROM public.all_candles
  WHERE (all_candles.timeframe = '1m'::text)
  GROUP BY (public.time_bucket('01:00:00'::interval, all_candles.window_start)), all_candles.symbol, all_candles.exchange;

COMMENT ON VIEW public.candles_hourly_summary IS 'Hours from the 1m candles, hot and cold.';

COMMENT ON COLUMN public.candles_hourly_summary.hour IS 'Start of the hour (UTC).';

COMMENT ON COLUMN public.candles_hourly_summary.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.candles_hourly_summary.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.candles_hourly_summary.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.candles_hourly_summary.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.candles_hourly_summary.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.candles_hourly_summary.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.candles_hourly_summary.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.candles_hourly_summary.minutes IS 'Number of 1m candles it is made of.';

CREATE TABLE public.collector_position (
    exchange text NOT NULL,
    pair text NOT NULL,
    trade_id bigint NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT collector_position_trade_id_check CHECK ((trade_id >= 0))
);

COMMENT ON TABLE public.collector_position IS 'Where a collector goes on after a restart.';

COMMENT ON COLUMN public.collector_position.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.collector_position.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.collector_position.trade_id IS 'The exchange''s own number, consecutive per pair.';

COMMENT ON COLUMN public.collector_position."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.collector_position.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.collector_position.since IS 'When collecting the pair began: what is missing before was never lost.';

CREATE TABLE public.completeness (
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    day date NOT NULL,
    expected bigint NOT NULL,
    stored bigint NOT NULL,
    no_trades bigint DEFAULT 0 NOT NULL,
    source_missing bigint DEFAULT 0 NOT NULL,
    lost_by_us bigint DEFAULT 0 NOT NULL,
    unexplained bigint DEFAULT 0 NOT NULL,
    healed bigint DEFAULT 0 NOT NULL,
    checked_until timestamp with time zone NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT completeness_check CHECK ((expected = ((((stored + no_trades) + source_missing) + lost_by_us) + unexplained))),
    CONSTRAINT completeness_expected_check CHECK ((expected >= 0)),
    CONSTRAINT completeness_healed_check CHECK ((healed >= 0)),
    CONSTRAINT completeness_lost_by_us_check CHECK ((lost_by_us >= 0)),
    CONSTRAINT completeness_no_trades_check CHECK ((no_trades >= 0)),
    CONSTRAINT completeness_source_missing_check CHECK ((source_missing >= 0)),
    CONSTRAINT completeness_stored_check CHECK ((stored >= 0)),
    CONSTRAINT completeness_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text]))),
    CONSTRAINT completeness_unexplained_check CHECK ((unexplained >= 0))
);

COMMENT ON TABLE public.completeness IS 'What every UTC day of a series has and lacks. Kept for ever.';

COMMENT ON COLUMN public.completeness.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.completeness.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.completeness.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.completeness.day IS 'The UTC day.';

COMMENT ON COLUMN public.completeness.expected IS 'Candles that there can be, as far as the day was looked at.';

COMMENT ON COLUMN public.completeness.stored IS 'Candles that are stored.';

COMMENT ON COLUMN public.completeness.no_trades IS 'Candles that are not stored because nobody traded.';

COMMENT ON COLUMN public.completeness.source_missing IS 'Candles that are not stored because the exchange has them not, either.';

COMMENT ON COLUMN public.completeness.lost_by_us IS 'Candles that are not stored though the exchange has them.';

COMMENT ON COLUMN public.completeness.unexplained IS 'Candles that are not stored, nobody knows yet why.';

COMMENT ON COLUMN public.completeness.healed IS 'Candles that are stored and once were missing.';

COMMENT ON COLUMN public.completeness.checked_until IS 'The day was looked at up to here (UTC).';

COMMENT ON COLUMN public.completeness.updated_at IS 'When the row was changed last (UTC).';

CREATE TABLE public.crypto_configuration (
    id bigint NOT NULL,
    exchange text NOT NULL,
    pair text NOT NULL,
    crypto_symbol text GENERATED ALWAYS AS (split_part(pair, '/'::text, 1)) STORED NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    history_days integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT crypto_configuration_history_days_check CHECK (((history_days >= 1) AND (history_days <= 36500)))
);

COMMENT ON TABLE public.crypto_configuration IS 'What to collect, editable through the API.';

COMMENT ON COLUMN public.crypto_configuration.id IS 'Number of the row.';

COMMENT ON COLUMN public.crypto_configuration.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.crypto_configuration.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.crypto_configuration.crypto_symbol IS 'The base coin, such as BTC.';

COMMENT ON COLUMN public.crypto_configuration.enabled IS 'Whether it is collected.';

COMMENT ON COLUMN public.crypto_configuration.history_days IS 'Days of history to keep complete; empty: the platform''s setting.';

COMMENT ON COLUMN public.crypto_configuration.created_at IS 'When the row was made (UTC).';

COMMENT ON COLUMN public.crypto_configuration.updated_at IS 'When the row was changed last (UTC).';

ALTER TABLE public.crypto_configuration ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.crypto_configuration_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.exchange_candles (
    window_start timestamp with time zone NOT NULL,
    window_end timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    trade_count bigint DEFAULT 0 NOT NULL,
    closed boolean DEFAULT false NOT NULL,
    source text DEFAULT 'stream'::text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT exchange_candles_check CHECK ((window_end > window_start)),
    CONSTRAINT exchange_candles_check1 CHECK (((low > (0)::numeric) AND (low <= LEAST(open, close)) AND (high >= GREATEST(open, close)))),
    CONSTRAINT exchange_candles_source_check CHECK ((source = ANY (ARRAY['stream'::text, 'rest'::text]))),
    CONSTRAINT exchange_candles_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text]))),
    CONSTRAINT exchange_candles_trade_count_check CHECK ((trade_count >= 0)),
    CONSTRAINT exchange_candles_volume_check CHECK ((volume >= (0)::numeric)),
    CONSTRAINT finite_numbers CHECK (((high < 'Infinity'::numeric) AND (volume < 'Infinity'::numeric)))
);

COMMENT ON TABLE public.exchange_candles IS 'The exchanges'' own live candles: an independent witness to check candles against.';

COMMENT ON COLUMN public.exchange_candles.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.exchange_candles.window_end IS 'First instant after the window (UTC).';

COMMENT ON COLUMN public.exchange_candles.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.exchange_candles.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.exchange_candles.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.exchange_candles.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.exchange_candles.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.exchange_candles.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.exchange_candles.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.exchange_candles.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.exchange_candles.trade_count IS 'Number of trades.';

COMMENT ON COLUMN public.exchange_candles.closed IS 'The exchange''s last word on the window is in.';

COMMENT ON COLUMN public.exchange_candles.source IS 'stream: as sent on the socket.';

COMMENT ON COLUMN public.exchange_candles.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.fear_greed_data (
    "timestamp" timestamp with time zone NOT NULL,
    value integer NOT NULL,
    classification text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT fear_greed_data_value_check CHECK (((value >= 0) AND (value <= 100)))
);

COMMENT ON TABLE public.fear_greed_data IS 'The fear and greed index of each UTC day. Kept for ever.';

COMMENT ON COLUMN public.fear_greed_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.fear_greed_data.value IS '0 is extreme fear, 100 extreme greed.';

COMMENT ON COLUMN public.fear_greed_data.classification IS 'The source''s word for the value.';

COMMENT ON COLUMN public.fear_greed_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.held_trades (
    minute timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    fingerprint text NOT NULL,
    row_number bigint NOT NULL,
    held boolean NOT NULL,
    price numeric,
    volume numeric,
    trade_count bigint,
    quiet_until timestamp with time zone,
    settled_until timestamp with time zone,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT held_trades_check CHECK ((num_nulls(price, volume, trade_count) = ANY (ARRAY[0, 3]))),
    CONSTRAINT held_trades_price_check CHECK (((price > (0)::numeric) AND (price < 'Infinity'::numeric))),
    CONSTRAINT held_trades_trade_count_check CHECK ((trade_count >= 0)),
    CONSTRAINT held_trades_volume_check CHECK (((volume > (0)::numeric) AND (volume < 'Infinity'::numeric)))
);

COMMENT ON TABLE public.held_trades IS 'Imported trades of minutes of which some rows are in quarantine. Until these are decided.';

COMMENT ON COLUMN public.held_trades.minute IS 'Start of the minute (UTC).';

COMMENT ON COLUMN public.held_trades.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.held_trades.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.held_trades.fingerprint IS 'Of the file, as in import_progress.';

COMMENT ON COLUMN public.held_trades.row_number IS 'Of the row in its file, from 1 on.';

COMMENT ON COLUMN public.held_trades.held IS 'The row is in quarantine, and undecided.';

COMMENT ON COLUMN public.held_trades.price IS 'Price; quote coin.';

COMMENT ON COLUMN public.held_trades.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.held_trades.trade_count IS 'How many trades the row stands for; 0: nobody knows.';

COMMENT ON COLUMN public.held_trades.quiet_until IS 'Nobody traded after the minute until then (UTC), where the file says so.';

COMMENT ON COLUMN public.held_trades.settled_until IS 'The candles of the minute and of the silence after it are stored until then (UTC).';

COMMENT ON COLUMN public.held_trades.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.import_progress (
    fingerprint text NOT NULL,
    kind text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    file text NOT NULL,
    format text NOT NULL,
    timeframe text DEFAULT ''::text NOT NULL,
    status text DEFAULT 'in_progress'::text NOT NULL,
    bytes_read bigint DEFAULT 0 NOT NULL,
    rows_read bigint DEFAULT 0 NOT NULL,
    rows_stored bigint DEFAULT 0 NOT NULL,
    rows_known bigint DEFAULT 0 NOT NULL,
    rows_quarantined bigint DEFAULT 0 NOT NULL,
    first_ts timestamp with time zone,
    last_ts timestamp with time zone,
    candles_from timestamp with time zone,
    candles_until timestamp with time zone,
    error_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT import_progress_bytes_read_check CHECK ((bytes_read >= 0)),
    CONSTRAINT import_progress_check CHECK (((candles_from IS NULL) = (candles_until IS NULL))),
    CONSTRAINT import_progress_kind_check CHECK ((kind = ANY (ARRAY['trades'::text, 'candles'::text]))),
    CONSTRAINT import_progress_rows_known_check CHECK ((rows_known >= 0)),
    CONSTRAINT import_progress_rows_quarantined_check CHECK ((rows_quarantined >= 0)),
    CONSTRAINT import_progress_rows_read_check CHECK ((rows_read >= 0)),
    CONSTRAINT import_progress_rows_stored_check CHECK ((rows_stored >= 0)),
    CONSTRAINT import_progress_status_check CHECK ((status = ANY (ARRAY['in_progress'::text, 'completed'::text, 'failed'::text])))
);

COMMENT ON TABLE public.import_progress IS 'How far each imported file has come; the position is committed with the rows. Kept for ever.';

COMMENT ON COLUMN public.import_progress.fingerprint IS 'SHA-256 of the file, and the member where it is a zip: the same content is imported once.';

COMMENT ON COLUMN public.import_progress.kind IS 'trades or candles.';

COMMENT ON COLUMN public.import_progress.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.import_progress.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.import_progress.file IS 'Its name when it was read last.';

COMMENT ON COLUMN public.import_progress.format IS 'kraken, binance, freqtrade, csv, parquet or feather.';

COMMENT ON COLUMN public.import_progress.timeframe IS 'Of its candles; empty for trades.';

COMMENT ON COLUMN public.import_progress.status IS 'in_progress, completed or failed.';

COMMENT ON COLUMN public.import_progress.bytes_read IS 'So much of its unpacked content is done; 0 where rows are not lines.';

COMMENT ON COLUMN public.import_progress.rows_read IS 'So many of its rows are done.';

COMMENT ON COLUMN public.import_progress.rows_stored IS 'Of these, the rows that were new.';

COMMENT ON COLUMN public.import_progress.rows_known IS 'Of these, the rows that were stored before, as they are.';

COMMENT ON COLUMN public.import_progress.rows_quarantined IS 'Of these, the rows that failed the gate.';

COMMENT ON COLUMN public.import_progress.first_ts IS 'The oldest time of what was stored (UTC).';

COMMENT ON COLUMN public.import_progress.last_ts IS 'The newest time of what was stored (UTC).';

COMMENT ON COLUMN public.import_progress.candles_from IS 'From here to candles_until trades are stored whose candles may not be made yet (UTC).';

COMMENT ON COLUMN public.import_progress.candles_until IS 'See candles_from; empty: all are made.';

COMMENT ON COLUMN public.import_progress.error_message IS 'Why it failed.';

COMMENT ON COLUMN public.import_progress.created_at IS 'When the row was made (UTC).';

COMMENT ON COLUMN public.import_progress.updated_at IS 'When the row was changed last (UTC).';

CREATE TABLE public.indicator_changes (
    number bigint NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    first_start timestamp with time zone NOT NULL,
    last_start timestamp with time zone NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT indicator_changes_check CHECK ((last_start >= first_start)),
    CONSTRAINT indicator_changes_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
);

COMMENT ON TABLE public.indicator_changes IS 'Closed candles that were written, until their indicators are computed.';

COMMENT ON COLUMN public.indicator_changes.number IS 'Order in which the rows came.';

COMMENT ON COLUMN public.indicator_changes.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.indicator_changes.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.indicator_changes.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.indicator_changes.first_start IS 'Start of the first of the windows (UTC).';

COMMENT ON COLUMN public.indicator_changes.last_start IS 'Start of the last of the windows (UTC).';

COMMENT ON COLUMN public.indicator_changes.noted_at IS 'When they were written (UTC).';

ALTER TABLE public.indicator_changes ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.indicator_changes_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.indicator_states (
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    window_start timestamp with time zone NOT NULL,
    state double precision[] NOT NULL,
    CONSTRAINT indicator_states_state_check CHECK ((cardinality(state) = 28)),
    CONSTRAINT indicator_states_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
)
WITH (fillfactor='40');

COMMENT ON TABLE public.indicator_states IS 'What the indicators of the next candle of each series need.';

COMMENT ON COLUMN public.indicator_states.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.indicator_states.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.indicator_states.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.indicator_states.window_start IS 'The newest candle whose indicators are computed.';

COMMENT ON COLUMN public.indicator_states.state IS 'State of the recurrences after it: the next candle needs nothing else.';

CREATE TABLE public.instruments (
    exchange text NOT NULL,
    pair text NOT NULL,
    status text NOT NULL,
    price_increment numeric,
    volume_increment numeric,
    seen_from timestamp with time zone DEFAULT now() NOT NULL,
    seen_to timestamp with time zone DEFAULT now() NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    listed_from timestamp with time zone,
    listed_to timestamp with time zone,
    listed tstzrange GENERATED ALWAYS AS (tstzrange(listed_from,
CASE
    WHEN (status = 'delisted'::text) THEN GREATEST(listed_from, COALESCE(listed_to, seen_to))
    WHEN (listed_to IS NOT NULL) THEN GREATEST(listed_from, listed_to)
    ELSE NULL::timestamp with time zone
END)) STORED,
    spelling text,
    CONSTRAINT finite_numbers CHECK (((price_increment < 'Infinity'::numeric) AND (volume_increment < 'Infinity'::numeric))),
    CONSTRAINT instruments_check CHECK ((seen_from <= seen_to)),
    CONSTRAINT instruments_price_increment_check CHECK ((price_increment > (0)::numeric)),
    CONSTRAINT instruments_volume_increment_check CHECK ((volume_increment > (0)::numeric))
);

COMMENT ON TABLE public.instruments IS 'What each exchange lists. Kept for ever.';

COMMENT ON COLUMN public.instruments.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.instruments.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.instruments.status IS 'The exchange''s word for whether it can be traded; delisted when no longer listed.';

COMMENT ON COLUMN public.instruments.price_increment IS 'Smallest step of the price; quote coin.';

COMMENT ON COLUMN public.instruments.volume_increment IS 'Smallest step of the amount; base coin.';

COMMENT ON COLUMN public.instruments.seen_from IS 'First time it was listed (UTC).';

COMMENT ON COLUMN public.instruments.seen_to IS 'Last time it was listed (UTC).';

COMMENT ON COLUMN public.instruments.received_at IS 'When we saw or computed it, by our clock (UTC).';

COMMENT ON COLUMN public.instruments.listed_from IS 'Since when the exchange has listed the pair (UTC); empty: not known.';

COMMENT ON COLUMN public.instruments.listed_to IS 'Until when the exchange listed the pair (UTC); empty: not known.';

COMMENT ON COLUMN public.instruments.listed IS 'When the pair could be traded: nothing outside of it can be missing.';

COMMENT ON COLUMN public.instruments.spelling IS 'The exchange''s own name of the pair in its REST interface.';

CREATE TABLE public.market_data (
    "timestamp" timestamp with time zone NOT NULL,
    source text NOT NULL,
    symbol text NOT NULL,
    name text NOT NULL,
    price_usd numeric NOT NULL,
    market_cap numeric,
    volume_24h numeric,
    change_1h double precision,
    change_24h double precision,
    change_7d double precision,
    ath numeric,
    atl numeric,
    circulating_supply numeric,
    rank integer,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT finite_numbers CHECK (((abs(ath) < 'Infinity'::numeric) AND (abs(atl) < 'Infinity'::numeric) AND (abs(change_1h) < 'Infinity'::double precision) AND (abs(change_24h) < 'Infinity'::double precision) AND (abs(change_7d) < 'Infinity'::double precision) AND (abs(circulating_supply) < 'Infinity'::numeric) AND (abs(market_cap) < 'Infinity'::numeric) AND (abs(price_usd) < 'Infinity'::numeric) AND (abs(volume_24h) < 'Infinity'::numeric))),
    CONSTRAINT market_data_ath_check CHECK ((ath >= (0)::numeric)),
    CONSTRAINT market_data_atl_check CHECK ((atl >= (0)::numeric)),
    CONSTRAINT market_data_circulating_supply_check CHECK ((circulating_supply >= (0)::numeric)),
    CONSTRAINT market_data_market_cap_check CHECK ((market_cap >= (0)::numeric)),
    CONSTRAINT market_data_price_usd_check CHECK ((price_usd > (0)::numeric)),
    CONSTRAINT market_data_rank_check CHECK ((rank >= 1)),
    CONSTRAINT market_data_volume_24h_check CHECK ((volume_24h >= (0)::numeric))
);

COMMENT ON TABLE public.market_data IS 'Coins in the market overviews of CoinGecko and CoinMarketCap. Kept 365 days.';

COMMENT ON COLUMN public.market_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.market_data.source IS 'coingecko or coinmarketcap.';

COMMENT ON COLUMN public.market_data.symbol IS 'The coin, such as BTC.';

COMMENT ON COLUMN public.market_data.name IS 'Name of the coin.';

COMMENT ON COLUMN public.market_data.price_usd IS 'Price in US dollars.';

COMMENT ON COLUMN public.market_data.market_cap IS 'Price times circulating supply, in US dollars.';

COMMENT ON COLUMN public.market_data.volume_24h IS 'Amount traded in the last 24 hours, in US dollars.';

COMMENT ON COLUMN public.market_data.change_1h IS 'Change of the price in an hour, in percent.';

COMMENT ON COLUMN public.market_data.change_24h IS 'Change of the price in a day, in percent.';

COMMENT ON COLUMN public.market_data.change_7d IS 'Change of the price in a week, in percent.';

COMMENT ON COLUMN public.market_data.ath IS 'Highest price ever, in US dollars.';

COMMENT ON COLUMN public.market_data.atl IS 'Lowest price ever, in US dollars.';

COMMENT ON COLUMN public.market_data.circulating_supply IS 'Coins in circulation.';

COMMENT ON COLUMN public.market_data.rank IS 'Rank by market cap, from 1.';

COMMENT ON COLUMN public.market_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.news_feed_states (
    name text NOT NULL,
    url text NOT NULL,
    etag text DEFAULT ''::text NOT NULL,
    last_modified text DEFAULT ''::text NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    succeeded_at timestamp with time zone,
    status text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone,
    CONSTRAINT news_feed_states_failures_check CHECK ((failures >= 0))
);

COMMENT ON TABLE public.news_feed_states IS 'How each news feed answered last, and what to ask it with next time.';

COMMENT ON COLUMN public.news_feed_states.name IS 'Name of the feed, such as coindesk.';

COMMENT ON COLUMN public.news_feed_states.url IS 'Address of the feed.';

COMMENT ON COLUMN public.news_feed_states.etag IS 'ETag of what was read last; empty: none.';

COMMENT ON COLUMN public.news_feed_states.last_modified IS 'Last-Modified of what was read last; empty: none.';

COMMENT ON COLUMN public.news_feed_states.checked_at IS 'When it was last asked (UTC).';

COMMENT ON COLUMN public.news_feed_states.succeeded_at IS 'When it last gave entries, or said that nothing is new (UTC).';

COMMENT ON COLUMN public.news_feed_states.status IS 'read, unchanged, failed, forbidden or postponed.';

COMMENT ON COLUMN public.news_feed_states.reason IS 'Why it gave nothing; empty: it gave something.';

COMMENT ON COLUMN public.news_feed_states.failures IS 'Polls in a row that gave nothing.';

COMMENT ON COLUMN public.news_feed_states.not_before IS 'When the site wants to be asked again, if it said so (UTC).';

CREATE VIEW public.partial_candles AS
 SELECT kept.exchange,
    kept.symbol,
    kept.timeframe,
    kept.window_start,
    kept.window_end,
    COALESCE(windows.known_minutes, (0)::bigint) AS known_minutes,
    public.whole_minutes(kept.timeframe) AS minutes,
    kept.tier
   FROM (public.all_candles kept
     LEFT JOIN LATERAL public.known_windows(kept.exchange, kept.symbol, kept.timeframe, kept.window_start, kept.window_end) windows(window_start, known_minutes) ON (true))
  WHERE ((NOT kept.closed) AND (kept.window_end <= now()));

COMMENT ON VIEW public.partial_candles IS 'Candles whose window has ended and is not known whole: how many of its minutes are.';

COMMENT ON COLUMN public.partial_candles.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.partial_candles.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.partial_candles.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.partial_candles.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.partial_candles.window_end IS 'First instant after the window (UTC).';

COMMENT ON COLUMN public.partial_candles.known_minutes IS 'Of these, the minutes that are known.';

COMMENT ON COLUMN public.partial_candles.minutes IS 'Number of minutes.';

COMMENT ON COLUMN public.partial_candles.tier IS 'Where the row lives: hot or cold.';

CREATE TABLE public.platform_alerts (
    kind text NOT NULL,
    subject text NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    closed_at timestamp with time zone,
    occurrences bigint DEFAULT 1 NOT NULL,
    severity text NOT NULL,
    message text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT platform_alerts_check CHECK (((last_seen_at >= opened_at) AND (closed_at >= opened_at))),
    CONSTRAINT platform_alerts_occurrences_check CHECK ((occurrences >= 1)),
    CONSTRAINT platform_alerts_severity_check CHECK ((severity = ANY (ARRAY['critical'::text, 'warning'::text, 'info'::text])))
);

COMMENT ON TABLE public.platform_alerts IS 'What needs somebody''s attention: at most one open row of a kind and subject. Closed ones kept 365 days.';

COMMENT ON COLUMN public.platform_alerts.kind IS 'What kind of trouble, such as stream_down.';

COMMENT ON COLUMN public.platform_alerts.subject IS 'Whose trouble, such as the name of a stream.';

COMMENT ON COLUMN public.platform_alerts.opened_at IS 'When it began (UTC).';

COMMENT ON COLUMN public.platform_alerts.last_seen_at IS 'When it was seen last (UTC).';

COMMENT ON COLUMN public.platform_alerts.closed_at IS 'When it was over (UTC); empty while it lasts.';

COMMENT ON COLUMN public.platform_alerts.occurrences IS 'How often it was seen while it lasted.';

COMMENT ON COLUMN public.platform_alerts.severity IS 'critical, warning or info.';

COMMENT ON COLUMN public.platform_alerts.message IS 'What is wrong, in words.';

COMMENT ON COLUMN public.platform_alerts.detail IS 'Further facts.';

CREATE TABLE public.prediction_data (
    "timestamp" timestamp with time zone NOT NULL,
    crypto_symbol text NOT NULL,
    model_name text NOT NULL,
    predicted_price double precision NOT NULL,
    actual_price numeric,
    confidence_interval_low double precision,
    confidence_interval_high double precision,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT finite_numbers CHECK (((abs(actual_price) < 'Infinity'::numeric) AND (abs(confidence_interval_high) < 'Infinity'::double precision) AND (abs(confidence_interval_low) < 'Infinity'::double precision) AND (abs(predicted_price) < 'Infinity'::double precision))),
    CONSTRAINT prediction_data_check CHECK ((confidence_interval_low <= confidence_interval_high))
);

COMMENT ON TABLE public.prediction_data IS 'Predicted prices, with the actual price once it is known. Kept 365 days.';

COMMENT ON COLUMN public.prediction_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.prediction_data.crypto_symbol IS 'The base coin, such as BTC.';

COMMENT ON COLUMN public.prediction_data.model_name IS 'The model that predicted.';

COMMENT ON COLUMN public.prediction_data.predicted_price IS 'Predicted price; quote coin.';

COMMENT ON COLUMN public.prediction_data.actual_price IS 'What the price came to; quote coin.';

COMMENT ON COLUMN public.prediction_data.confidence_interval_low IS 'Lower bound of the prediction; quote coin.';

COMMENT ON COLUMN public.prediction_data.confidence_interval_high IS 'Upper bound of the prediction; quote coin.';

COMMENT ON COLUMN public.prediction_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.published_keys (
    subject text NOT NULL,
    key text NOT NULL,
    published_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.published_keys IS 'What was published lately: it is not staged again.';

COMMENT ON COLUMN public.published_keys.subject IS 'What it is about.';

COMMENT ON COLUMN public.published_keys.key IS 'Natural key within the subject.';

COMMENT ON COLUMN public.published_keys.published_at IS 'When the broker acknowledged it (UTC).';

CREATE TABLE public.quality_documents (
    asset text NOT NULL,
    evaluated_at timestamp with time zone NOT NULL,
    run text NOT NULL,
    suite text NOT NULL,
    success boolean NOT NULL,
    failed text[] DEFAULT '{}'::text[] NOT NULL,
    turned boolean DEFAULT true NOT NULL,
    document jsonb NOT NULL
);

COMMENT ON TABLE public.quality_documents IS 'Whole validations, for the reports: the newest of an hour, and each whose failures are new. Kept 30 days.';

COMMENT ON COLUMN public.quality_documents.asset IS 'The asset that was checked.';

COMMENT ON COLUMN public.quality_documents.evaluated_at IS 'When it was evaluated (UTC).';

COMMENT ON COLUMN public.quality_documents.run IS 'The run that evaluated.';

COMMENT ON COLUMN public.quality_documents.suite IS 'The suite of expectations.';

COMMENT ON COLUMN public.quality_documents.success IS 'Whether the expectation was met.';

COMMENT ON COLUMN public.quality_documents.failed IS 'The expectations of severity critical or warning that were not met.';

COMMENT ON COLUMN public.quality_documents.turned IS 'Other expectations failed than the time before.';

COMMENT ON COLUMN public.quality_documents.document IS 'The validation as Great Expectations writes it, without the rows.';

CREATE TABLE public.quality_results (
    run text NOT NULL,
    asset text NOT NULL,
    suite text NOT NULL,
    expectation text NOT NULL,
    severity text NOT NULL,
    success boolean NOT NULL,
    observed jsonb,
    unexpected_count bigint,
    evaluated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT quality_results_severity_check CHECK ((severity = ANY (ARRAY['critical'::text, 'warning'::text, 'info'::text]))),
    CONSTRAINT quality_results_unexpected_count_check CHECK ((unexpected_count >= 0))
);

COMMENT ON TABLE public.quality_results IS 'The result of every expectation of every run. Kept 365 days.';

COMMENT ON COLUMN public.quality_results.run IS 'The run that evaluated.';

COMMENT ON COLUMN public.quality_results.asset IS 'The asset that was checked.';

COMMENT ON COLUMN public.quality_results.suite IS 'The suite of expectations.';

COMMENT ON COLUMN public.quality_results.expectation IS 'The expectation that was evaluated.';

COMMENT ON COLUMN public.quality_results.severity IS 'critical blocks what follows; warning and info do not.';

COMMENT ON COLUMN public.quality_results.success IS 'Whether the expectation was met.';

COMMENT ON COLUMN public.quality_results.observed IS 'What was observed.';

COMMENT ON COLUMN public.quality_results.unexpected_count IS 'Number of rows that did not meet it.';

COMMENT ON COLUMN public.quality_results.evaluated_at IS 'When it was evaluated (UTC).';

ALTER TABLE public.quarantine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.rest_budgets (
    exchange text NOT NULL,
    free_at timestamp with time zone NOT NULL,
    closed_until timestamp with time zone,
    closed_because text,
    failures integer DEFAULT 0 NOT NULL,
    CONSTRAINT rest_budgets_failures_check CHECK ((failures >= 0))
);

COMMENT ON TABLE public.rest_budgets IS 'How fast the batch layer may ask each exchange, all its runs and processes together.';

COMMENT ON COLUMN public.rest_budgets.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.rest_budgets.free_at IS 'When the next request may be made; requests are booked one after the other.';

COMMENT ON COLUMN public.rest_budgets.closed_until IS 'Until when nobody may ask: the exchange said so, or has failed in a row.';

COMMENT ON COLUMN public.rest_budgets.closed_because IS 'Why, in words.';

COMMENT ON COLUMN public.rest_budgets.failures IS 'Requests without an answer in a row, by anybody.';

CREATE TABLE public.retention_policy (
    subject text NOT NULL,
    kept interval,
    CONSTRAINT retention_policy_kept_check CHECK ((kept > '00:00:00'::interval))
);

COMMENT ON TABLE public.retention_policy IS 'How long each table that has no cold tier keeps its rows before they go to the archive.';

COMMENT ON COLUMN public.retention_policy.subject IS 'Name of the table.';

COMMENT ON COLUMN public.retention_policy.kept IS 'How old a row is when it leaves the database; empty: never.';

CREATE TABLE public.robots_cache (
    origin text NOT NULL,
    body text NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.robots_cache IS 'The robots.txt of the sites that are read, until it expires.';

COMMENT ON COLUMN public.robots_cache.origin IS 'Scheme, host and port of the site.';

COMMENT ON COLUMN public.robots_cache.body IS 'Its robots.txt; empty: everything may be read.';

COMMENT ON COLUMN public.robots_cache.fetched_at IS 'When it was read (UTC).';

COMMENT ON COLUMN public.robots_cache.expires_at IS 'When it is read again (UTC); used beyond that only while the site is unreachable.';

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.schema_migrations IS 'The files of sql/ that this database has seen.';

COMMENT ON COLUMN public.schema_migrations.name IS 'Name of the file.';

COMMENT ON COLUMN public.schema_migrations.checksum IS 'SHA-256 of the file as it was applied.';

COMMENT ON COLUMN public.schema_migrations.applied_at IS 'When the file was applied (UTC).';

CREATE TABLE public.sentiment_data (
    "timestamp" timestamp with time zone NOT NULL,
    crypto_symbol text NOT NULL,
    source text NOT NULL,
    sentiment_score double precision NOT NULL,
    sentiment_label text NOT NULL,
    confidence double precision,
    article_count integer DEFAULT 0 NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT finite_numbers CHECK ((abs(confidence) < 'Infinity'::double precision)),
    CONSTRAINT sentiment_data_article_count_check CHECK ((article_count >= 0)),
    CONSTRAINT sentiment_data_sentiment_label_check CHECK ((sentiment_label = ANY (ARRAY['positive'::text, 'neutral'::text, 'negative'::text]))),
    CONSTRAINT sentiment_data_sentiment_score_check CHECK (((sentiment_score >= (0)::double precision) AND (sentiment_score <= (1)::double precision)))
);

COMMENT ON TABLE public.sentiment_data IS 'Sentiment of a coin in windows of the news. Kept 365 days.';

COMMENT ON COLUMN public.sentiment_data."timestamp" IS 'Start of the window (UTC).';

COMMENT ON COLUMN public.sentiment_data.crypto_symbol IS 'The base coin, such as BTC.';

COMMENT ON COLUMN public.sentiment_data.source IS 'Which texts it is of.';

COMMENT ON COLUMN public.sentiment_data.sentiment_score IS 'How it sounds: 0 is negative, 1 is positive.';

COMMENT ON COLUMN public.sentiment_data.sentiment_label IS 'positive above 0.6, negative below 0.4, else neutral.';

COMMENT ON COLUMN public.sentiment_data.confidence IS 'How much the articles agree, 0 to 1.';

COMMENT ON COLUMN public.sentiment_data.article_count IS 'Number of articles.';

COMMENT ON COLUMN public.sentiment_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE VIEW public.sentiment_hourly AS
 SELECT public.time_bucket('01:00:00'::interval, sentiment_data."timestamp") AS hour,
    sentiment_data.crypto_symbol,
    sentiment_data.source,
    avg(sentiment_data.sentiment_score) AS sentiment_score,
    min(sentiment_data.sentiment_score) AS lowest_score,
    max(sentiment_data.sentiment_score) AS highest_score,
    sum(sentiment_data.article_count) AS article_count,
    count(*) AS windows
   FROM public.sentiment_data
  GROUP BY (public.time_bucket('01:00:00'::interval, sentiment_data."timestamp")), sentiment_data.crypto_symbol, sentiment_data.source;

COMMENT ON VIEW public.sentiment_hourly IS 'Mean sentiment of each coin and hour.';

COMMENT ON COLUMN public.sentiment_hourly.hour IS 'Start of the hour (UTC).';

COMMENT ON COLUMN public.sentiment_hourly.crypto_symbol IS 'The base coin, such as BTC.';

COMMENT ON COLUMN public.sentiment_hourly.source IS 'Where it comes from.';

COMMENT ON COLUMN public.sentiment_hourly.sentiment_score IS 'How it sounds: 0 is negative, 1 is positive.';

COMMENT ON COLUMN public.sentiment_hourly.lowest_score IS 'Lowest score of a window.';

COMMENT ON COLUMN public.sentiment_hourly.highest_score IS 'Highest score of a window.';

COMMENT ON COLUMN public.sentiment_hourly.article_count IS 'Number of articles.';

COMMENT ON COLUMN public.sentiment_hourly.windows IS 'Number of windows of sentiment_data.';

CREATE TABLE public.shared_article_names (
    website text NOT NULL,
    name text NOT NULL,
    first_seen timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.shared_article_names IS 'Guids and links that stood for several articles in one document of a feed: no identity of others any more.';

COMMENT ON COLUMN public.shared_article_names.website IS 'The site that published it.';

COMMENT ON COLUMN public.shared_article_names.name IS 'The guid or link.';

COMMENT ON COLUMN public.shared_article_names.first_seen IS 'When a poll first saw it shared (UTC).';

CREATE TABLE public.sink_fence (
    query_id text NOT NULL,
    part integer NOT NULL,
    batch bigint NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.sink_fence IS 'The last micro-batch stored of each streaming query and part: a batch is stored once.';

COMMENT ON COLUMN public.sink_fence.query_id IS 'The id of the streaming query, from its checkpoint.';

COMMENT ON COLUMN public.sink_fence.part IS 'Part of the batch, 0 where the driver writes.';

COMMENT ON COLUMN public.sink_fence.batch IS 'Number of the last batch stored.';

COMMENT ON COLUMN public.sink_fence.epoch IS 'Raised by each start; who holds an older one may not write.';

COMMENT ON COLUMN public.sink_fence.updated_at IS 'When the row was changed last (UTC).';

CREATE TABLE public.source_quotas (
    source text NOT NULL,
    period text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    used bigint NOT NULL,
    allowed bigint NOT NULL,
    CONSTRAINT source_quotas_allowed_check CHECK ((allowed >= 0)),
    CONSTRAINT source_quotas_period_check CHECK ((period = ANY (ARRAY['minute'::text, 'day'::text, 'month'::text]))),
    CONSTRAINT source_quotas_used_check CHECK ((used >= 0))
);

COMMENT ON TABLE public.source_quotas IS 'How much of each quota of a polled source is used, in its current period.';

COMMENT ON COLUMN public.source_quotas.source IS 'The source, such as coingecko.';

COMMENT ON COLUMN public.source_quotas.period IS 'minute, day or month (UTC).';

COMMENT ON COLUMN public.source_quotas.starts_at IS 'Start of the period that is counted (UTC).';

COMMENT ON COLUMN public.source_quotas.used IS 'Requests (of a long quota: credits) in this period.';

COMMENT ON COLUMN public.source_quotas.allowed IS 'How many could be used by the time of the last request: long quotas are spread.';

CREATE TABLE public.source_states (
    source text NOT NULL,
    breaker text DEFAULT 'closed'::text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    successes integer DEFAULT 0 NOT NULL,
    opened_at timestamp with time zone,
    paused_until timestamp with time zone,
    paused_because text,
    memory jsonb DEFAULT '{}'::jsonb NOT NULL,
    asked_at timestamp with time zone,
    succeeded_at timestamp with time zone,
    failed_at timestamp with time zone,
    failure text,
    CONSTRAINT source_states_breaker_check CHECK ((breaker = ANY (ARRAY['closed'::text, 'open'::text, 'half-open'::text]))),
    CONSTRAINT source_states_failures_check CHECK ((failures >= 0)),
    CONSTRAINT source_states_successes_check CHECK ((successes >= 0))
);

COMMENT ON TABLE public.source_states IS 'How each polled source is: its circuit breaker, how long it wants to be left alone, its last answer.';

COMMENT ON COLUMN public.source_states.source IS 'The source, such as coingecko.';

COMMENT ON COLUMN public.source_states.breaker IS 'closed; open: not asked; half-open: the next answer decides.';

COMMENT ON COLUMN public.source_states.failures IS 'Failed polls since the last success.';

COMMENT ON COLUMN public.source_states.successes IS 'Successful polls since it half opened.';

COMMENT ON COLUMN public.source_states.opened_at IS 'When the breaker opened last (UTC).';

COMMENT ON COLUMN public.source_states.paused_until IS 'The source asked to be left alone until then (UTC).';

COMMENT ON COLUMN public.source_states.paused_because IS 'With which words it did.';

COMMENT ON COLUMN public.source_states.memory IS 'What its poller keeps between runs: validators, days that the source lacks.';

COMMENT ON COLUMN public.source_states.asked_at IS 'When it was asked last (UTC).';

COMMENT ON COLUMN public.source_states.succeeded_at IS 'When it answered well last (UTC).';

COMMENT ON COLUMN public.source_states.failed_at IS 'When it failed last (UTC).';

COMMENT ON COLUMN public.source_states.failure IS 'How it failed last, in words.';

CREATE TABLE public.staged_candles (
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    origin text NOT NULL,
    number bigint NOT NULL,
    window_start timestamp with time zone,
    window_end timestamp with time zone,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    trade_count bigint,
    staged_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    passed_at timestamp with time zone,
    CONSTRAINT staged_candles_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '5m'::text, '15m'::text, '1h'::text, '1d'::text])))
);

COMMENT ON TABLE public.staged_candles IS 'Candles that were fetched or imported, until they are judged and published, or in quarantine.';

COMMENT ON COLUMN public.staged_candles.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.staged_candles.symbol IS 'The pair, such as BTC/USD.';

COMMENT ON COLUMN public.staged_candles.timeframe IS 'Length of the candle: 1m, 5m, 15m, 1h or 1d.';

COMMENT ON COLUMN public.staged_candles.origin IS 'Who staged it: backfill (the configured history), range from an instant (asked for by hand), an import.';

COMMENT ON COLUMN public.staged_candles.number IS 'The order in which the rows came.';

COMMENT ON COLUMN public.staged_candles.window_start IS 'First instant of the window, a multiple of its length since the epoch (UTC).';

COMMENT ON COLUMN public.staged_candles.window_end IS 'First instant after the window (UTC).';

COMMENT ON COLUMN public.staged_candles.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.staged_candles.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.staged_candles.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.staged_candles.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.staged_candles.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.staged_candles.trade_count IS 'Number of trades.';

COMMENT ON COLUMN public.staged_candles.staged_at IS 'When it was staged (UTC).';

COMMENT ON COLUMN public.staged_candles.passed_at IS 'When it passed the gate (UTC); empty until then.';

ALTER TABLE public.staged_candles ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.staged_candles_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.staging (
    subject text NOT NULL,
    key text NOT NULL,
    series text NOT NULL,
    number bigint NOT NULL,
    payload jsonb NOT NULL,
    origin jsonb DEFAULT '{}'::jsonb NOT NULL,
    run text NOT NULL,
    staged_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    passed_at timestamp with time zone
);

COMMENT ON TABLE public.staging IS 'The outbox: what was fetched, until it is in quarantine or the broker has acknowledged it.';

COMMENT ON COLUMN public.staging.subject IS 'What it is about.';

COMMENT ON COLUMN public.staging.key IS 'Natural key within the subject.';

COMMENT ON COLUMN public.staging.series IS 'What the row is one state of, such as coingecko|BTC: the newest failing state stands for all.';

COMMENT ON COLUMN public.staging.number IS 'Order in which the rows came.';

COMMENT ON COLUMN public.staging.payload IS 'The fields of the record as they were fetched, not yet judged.';

COMMENT ON COLUMN public.staging.origin IS 'Where it came from: source, address and what the poller knows of the answer.';

COMMENT ON COLUMN public.staging.run IS 'The run that fetched.';

COMMENT ON COLUMN public.staging.staged_at IS 'When it was staged (UTC).';

COMMENT ON COLUMN public.staging.passed_at IS 'When it passed the gate (UTC); empty until then.';

ALTER TABLE public.staging ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.staging_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.stream_control (
    name text NOT NULL,
    desired text DEFAULT 'running'::text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stream_control_desired_check CHECK ((desired = ANY (ARRAY['running'::text, 'stopped'::text])))
);

COMMENT ON TABLE public.stream_control IS 'What each long-running stream should do.';

COMMENT ON COLUMN public.stream_control.name IS 'Name of the stream, such as ingestion.';

COMMENT ON COLUMN public.stream_control.desired IS 'running or stopped.';

COMMENT ON COLUMN public.stream_control.generation IS 'Raised to make the stream restart.';

COMMENT ON COLUMN public.stream_control.updated_at IS 'When the row was changed last (UTC).';

CREATE TABLE public.stream_events (
    name text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    event text NOT NULL,
    epoch bigint NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT stream_events_event_check CHECK ((event = ANY (ARRAY['started'::text, 'ready'::text, 'died'::text, 'hung'::text, 'killed'::text, 'stopped'::text, 'restart_requested'::text, 'taken_over'::text, 'recovered'::text])))
);

COMMENT ON TABLE public.stream_events IS 'What became of each stream''s workers: starts, ends, and what each end cost. Kept 365 days.';

COMMENT ON COLUMN public.stream_events.name IS 'Name of the stream, such as ingestion.';

COMMENT ON COLUMN public.stream_events.at IS 'When (UTC).';

COMMENT ON COLUMN public.stream_events.event IS 'started, ready, died, hung, killed, stopped, restart_requested, taken_over or recovered.';

COMMENT ON COLUMN public.stream_events.epoch IS 'Epoch of the worker that it is about.';

COMMENT ON COLUMN public.stream_events.reason IS 'Why, in words.';

COMMENT ON COLUMN public.stream_events.detail IS 'Figures: exit status, seconds since the start, seconds until rows flowed.';

CREATE TABLE public.stream_status (
    name text NOT NULL,
    state text DEFAULT 'stopped'::text NOT NULL,
    pid integer,
    host text,
    epoch bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    heartbeat timestamp with time zone,
    lag bigint,
    rows_total bigint DEFAULT 0 NOT NULL,
    batch_rows bigint,
    batch_ms double precision,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    last_error text,
    runner_pid integer,
    runner_heartbeat timestamp with time zone,
    generation bigint,
    restarts integer DEFAULT 0 NOT NULL,
    next_start_at timestamp with time zone,
    ready_at timestamp with time zone,
    progressed_at timestamp with time zone,
    rows_at timestamp with time zone,
    lag_zero_at timestamp with time zone,
    CONSTRAINT stream_status_restarts_check CHECK ((restarts >= 0)),
    CONSTRAINT stream_status_state_check CHECK ((state = ANY (ARRAY['starting'::text, 'running'::text, 'stopping'::text, 'stopped'::text, 'restarting'::text, 'failed'::text])))
);

COMMENT ON TABLE public.stream_status IS 'What each long-running stream does, by its own word.';

COMMENT ON COLUMN public.stream_status.name IS 'Name of the stream, such as ingestion.';

COMMENT ON COLUMN public.stream_status.state IS 'starting, running, stopping, stopped, restarting (waits for its delay) or failed.';

COMMENT ON COLUMN public.stream_status.pid IS 'Process id of the worker.';

COMMENT ON COLUMN public.stream_status.host IS 'Host of the worker.';

COMMENT ON COLUMN public.stream_status.epoch IS 'Raised by each start; who holds an older one may not write.';

COMMENT ON COLUMN public.stream_status.started_at IS 'When the worker started (UTC).';

COMMENT ON COLUMN public.stream_status.heartbeat IS 'When the worker last said it is alive (UTC).';

COMMENT ON COLUMN public.stream_status.lag IS 'Messages not yet processed.';

COMMENT ON COLUMN public.stream_status.rows_total IS 'Rows since the worker started.';

COMMENT ON COLUMN public.stream_status.batch_rows IS 'Rows of the last batch.';

COMMENT ON COLUMN public.stream_status.batch_ms IS 'Duration of the last batch, in milliseconds.';

COMMENT ON COLUMN public.stream_status.detail IS 'Further facts.';

COMMENT ON COLUMN public.stream_status.last_error IS 'The last error.';

COMMENT ON COLUMN public.stream_status.runner_pid IS 'Process id of the runner that owns the stream.';

COMMENT ON COLUMN public.stream_status.runner_heartbeat IS 'When the runner last said it is alive (UTC).';

COMMENT ON COLUMN public.stream_status.generation IS 'The generation of stream_control that the worker was started for.';

COMMENT ON COLUMN public.stream_status.restarts IS 'Unplanned ends of the worker since it last ran healthily for a while.';

COMMENT ON COLUMN public.stream_status.next_start_at IS 'When the worker is started again (UTC); empty unless restarting.';

COMMENT ON COLUMN public.stream_status.ready_at IS 'When the worker first moved its work (UTC); empty until then.';

COMMENT ON COLUMN public.stream_status.progressed_at IS 'When the worker last moved its work, or knew what it waits for (UTC).';

COMMENT ON COLUMN public.stream_status.rows_at IS 'When rows last came through (UTC).';

COMMENT ON COLUMN public.stream_status.lag_zero_at IS 'When nothing was left to process (UTC), last.';

CREATE TABLE public.stream_verdicts (
    name text NOT NULL,
    judged_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    verdict text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    memory jsonb NOT NULL
);

COMMENT ON TABLE public.stream_verdicts IS 'How the supervisor found each stream when it last looked.';

COMMENT ON COLUMN public.stream_verdicts.name IS 'Name of the stream, such as ingestion.';

COMMENT ON COLUMN public.stream_verdicts.judged_at IS 'When it was looked at (UTC).';

COMMENT ON COLUMN public.stream_verdicts.verdict IS 'healthy, quiet, starting, stopped, waiting, lagging, silent, stuck, down or dead.';

COMMENT ON COLUMN public.stream_verdicts.reason IS 'Why, in words; empty where all is well.';

COMMENT ON COLUMN public.stream_verdicts.memory IS 'What the next look has to know: since when, how often in a row, past restarts, the pairs.';

CREATE TABLE public.ticker_data (
    "timestamp" timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    pair text NOT NULL,
    last numeric NOT NULL,
    bid numeric,
    ask numeric,
    volume_24h numeric,
    pct_change numeric,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT finite_numbers CHECK (((last < 'Infinity'::numeric) AND (bid < 'Infinity'::numeric) AND (ask < 'Infinity'::numeric) AND (volume_24h < 'Infinity'::numeric) AND (abs(pct_change) < 'Infinity'::numeric))),
    CONSTRAINT ticker_data_ask_check CHECK ((ask >= (0)::numeric)),
    CONSTRAINT ticker_data_bid_check CHECK ((bid >= (0)::numeric)),
    CONSTRAINT ticker_data_last_check CHECK ((last > (0)::numeric)),
    CONSTRAINT ticker_data_volume_24h_check CHECK ((volume_24h >= (0)::numeric))
);

COMMENT ON TABLE public.ticker_data IS 'State of one market at an exchange as it was sent. Kept 90 days.';

COMMENT ON COLUMN public.ticker_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.ticker_data.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.ticker_data.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.ticker_data.last IS 'Price of the last trade; quote coin.';

COMMENT ON COLUMN public.ticker_data.bid IS 'Best price somebody buys at; quote coin.';

COMMENT ON COLUMN public.ticker_data.ask IS 'Best price somebody sells at; quote coin.';

COMMENT ON COLUMN public.ticker_data.volume_24h IS 'Amount traded in the last 24 hours; base coin.';

COMMENT ON COLUMN public.ticker_data.pct_change IS 'Change of the price in the last 24 hours, in percent.';

COMMENT ON COLUMN public.ticker_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE VIEW public.ticker_ohlc_hourly AS
 SELECT public.time_bucket('01:00:00'::interval, ticker_data."timestamp") AS hour,
    ticker_data.pair,
    ticker_data.exchange,
    public.first(ticker_data.last, ticker_data."timestamp") AS open,
    max(ticker_data.last) AS high,
    min(ticker_data.last) AS low,
    public.last(ticker_data.last, ticker_data."timestamp") AS close,
    count(*) AS tickers
   FROM public.ticker_data
  GROUP BY (public.time_bucket('01:00:00'::interval, ticker_data."timestamp")), ticker_data.pair, ticker_data.exchange;

COMMENT ON VIEW public.ticker_ohlc_hourly IS 'Open, high, low and close of the tickers of each hour.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.hour IS 'Start of the hour (UTC).';

COMMENT ON COLUMN public.ticker_ohlc_hourly.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.open IS 'Price of the first trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.high IS 'Highest price; quote coin.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.low IS 'Lowest price; quote coin.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.close IS 'Price of the last trade, by time and trade id; quote coin.';

COMMENT ON COLUMN public.ticker_ohlc_hourly.tickers IS 'Number of tickers.';

CREATE TABLE public.tiering_policy (
    subject text NOT NULL,
    timeframe text DEFAULT ''::text NOT NULL,
    hot_age interval,
    cold_age interval,
    history_age interval,
    CONSTRAINT tiering_policy_hot_age CHECK ((hot_age >= '1 day'::interval)),
    CONSTRAINT tiering_policy_subject_check CHECK ((subject = ANY (ARRAY['candles'::text, 'indicators'::text, 'news'::text])))
);

COMMENT ON TABLE public.tiering_policy IS 'How long rows stay hot, and then cold, before they leave the database.';

COMMENT ON COLUMN public.tiering_policy.subject IS 'candles, indicators or news.';

COMMENT ON COLUMN public.tiering_policy.timeframe IS 'Length of the candle; empty for news.';

COMMENT ON COLUMN public.tiering_policy.hot_age IS 'Age at which rows move to cold_storage; empty: never.';

COMMENT ON COLUMN public.tiering_policy.cold_age IS 'Further age at which rows leave the database; empty: never.';

COMMENT ON COLUMN public.tiering_policy.history_age IS 'The configured history: nothing younger leaves the database; empty: no more than both ages.';

CREATE TABLE public.trade_data (
    "timestamp" timestamp with time zone NOT NULL,
    exchange text NOT NULL,
    pair text NOT NULL,
    trade_id bigint NOT NULL,
    price numeric NOT NULL,
    volume numeric NOT NULL,
    side text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT finite_numbers CHECK (((price < 'Infinity'::numeric) AND (volume < 'Infinity'::numeric))),
    CONSTRAINT trade_data_price_check CHECK ((price > (0)::numeric)),
    CONSTRAINT trade_data_side_check CHECK ((side = ANY (ARRAY['buy'::text, 'sell'::text]))),
    CONSTRAINT trade_data_volume_check CHECK ((volume > (0)::numeric))
);

COMMENT ON TABLE public.trade_data IS 'Every trade, live, healed or imported. Kept 30 days.';

COMMENT ON COLUMN public.trade_data."timestamp" IS 'When it happened, by the source''s word (UTC).';

COMMENT ON COLUMN public.trade_data.exchange IS 'The exchange in lower case, such as kraken.';

COMMENT ON COLUMN public.trade_data.pair IS 'BASE/QUOTE, such as BTC/USD; always BTC and DOGE.';

COMMENT ON COLUMN public.trade_data.trade_id IS 'The exchange''s own number, consecutive per pair.';

COMMENT ON COLUMN public.trade_data.price IS 'Price; quote coin.';

COMMENT ON COLUMN public.trade_data.volume IS 'Amount traded; base coin.';

COMMENT ON COLUMN public.trade_data.side IS 'What the taker did: buy or sell.';

COMMENT ON COLUMN public.trade_data.received_at IS 'When we saw or computed it, by our clock (UTC).';

CREATE TABLE public.visualization_parameter (
    id bigint NOT NULL,
    name text NOT NULL,
    value jsonb NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.visualization_parameter IS 'How to show it, editable through the API.';

COMMENT ON COLUMN public.visualization_parameter.id IS 'Number of the row.';

COMMENT ON COLUMN public.visualization_parameter.name IS 'Name of the parameter.';

COMMENT ON COLUMN public.visualization_parameter.value IS 'The value, any JSON.';

COMMENT ON COLUMN public.visualization_parameter.description IS 'What it is for.';

COMMENT ON COLUMN public.visualization_parameter.created_at IS 'When the row was made (UTC).';

COMMENT ON COLUMN public.visualization_parameter.updated_at IS 'When the row was changed last (UTC).';

ALTER TABLE public.visualization_parameter ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.visualization_parameter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY cold_storage.article_data
    ADD CONSTRAINT article_data_pkey PRIMARY KEY ("timestamp", website, article_id);

ALTER TABLE ONLY cold_storage.candles
    ADD CONSTRAINT candles_pkey PRIMARY KEY (window_start, exchange, symbol, timeframe);

ALTER TABLE ONLY cold_storage.indicators
    ADD CONSTRAINT indicators_pkey PRIMARY KEY (window_start, exchange, symbol, timeframe);

ALTER TABLE ONLY public.action_log
    ADD CONSTRAINT action_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.alert_data
    ADD CONSTRAINT alert_data_pkey PRIMARY KEY ("timestamp", exchange, pair, alert_type);

ALTER TABLE ONLY public.analytics_data
    ADD CONSTRAINT analytics_data_pkey PRIMARY KEY ("timestamp", exchange, pair);

ALTER TABLE ONLY public.anomaly_data
    ADD CONSTRAINT anomaly_data_pkey PRIMARY KEY ("timestamp", exchange, pair, kind);

ALTER TABLE ONLY public.archive_files
    ADD CONSTRAINT archive_files_path_key UNIQUE (path);

ALTER TABLE ONLY public.archive_files
    ADD CONSTRAINT archive_files_pkey PRIMARY KEY (subject, exchange, symbol, timeframe, since);

ALTER TABLE ONLY public.article_data
    ADD CONSTRAINT article_data_pkey PRIMARY KEY ("timestamp", website, article_id);

ALTER TABLE ONLY public.article_revisions
    ADD CONSTRAINT article_revisions_pkey PRIMARY KEY (website, article_id, revision);

ALTER TABLE ONLY public.article_revisions
    ADD CONSTRAINT article_revisions_website_article_id_digest_key UNIQUE (website, article_id, digest);

ALTER TABLE ONLY public.backfill_progress
    ADD CONSTRAINT backfill_progress_pkey PRIMARY KEY (exchange, symbol, timeframe);

ALTER TABLE ONLY public.candle_checkpoint
    ADD CONSTRAINT candle_checkpoint_pkey PRIMARY KEY (exchange, pair);

ALTER TABLE ONLY public.candle_differences
    ADD CONSTRAINT candle_differences_pkey PRIMARY KEY (window_start, exchange, symbol, timeframe);

ALTER TABLE ONLY public.candle_gaps
    ADD CONSTRAINT candle_gaps_pkey PRIMARY KEY (exchange, symbol, timeframe, gap_start);

ALTER TABLE ONLY public.candle_repairs
    ADD CONSTRAINT candle_repairs_pkey PRIMARY KEY (exchange, symbol);

ALTER TABLE ONLY public.candles
    ADD CONSTRAINT candles_pkey PRIMARY KEY (window_start, exchange, symbol, timeframe);

ALTER TABLE ONLY public.collector_position
    ADD CONSTRAINT collector_position_pkey PRIMARY KEY (exchange, pair);

ALTER TABLE ONLY public.completeness
    ADD CONSTRAINT completeness_pkey PRIMARY KEY (exchange, symbol, timeframe, day);

ALTER TABLE ONLY public.crypto_configuration
    ADD CONSTRAINT crypto_configuration_exchange_pair_key UNIQUE (exchange, pair);

ALTER TABLE ONLY public.crypto_configuration
    ADD CONSTRAINT crypto_configuration_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.exchange_candles
    ADD CONSTRAINT exchange_candles_pkey PRIMARY KEY (window_start, exchange, symbol, timeframe);

ALTER TABLE ONLY public.fear_greed_data
    ADD CONSTRAINT fear_greed_data_pkey PRIMARY KEY ("timestamp");

ALTER TABLE ONLY public.held_trades
    ADD CONSTRAINT held_trades_pkey PRIMARY KEY (minute, exchange, symbol, fingerprint, row_number);

ALTER TABLE ONLY public.import_progress
    ADD CONSTRAINT import_progress_pkey PRIMARY KEY (fingerprint, kind, exchange, symbol);

ALTER TABLE ONLY public.indicator_changes
    ADD CONSTRAINT indicator_changes_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.indicator_states
    ADD CONSTRAINT indicator_states_pkey PRIMARY KEY (exchange, symbol, timeframe);

ALTER TABLE ONLY public.indicators
    ADD CONSTRAINT indicators_pkey PRIMARY KEY (window_start, exchange, symbol, timeframe);

ALTER TABLE ONLY public.instruments
    ADD CONSTRAINT instruments_pkey PRIMARY KEY (exchange, pair);

ALTER TABLE ONLY public.market_data
    ADD CONSTRAINT market_data_pkey PRIMARY KEY ("timestamp", source, symbol);

ALTER TABLE ONLY public.news_feed_states
    ADD CONSTRAINT news_feed_states_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.platform_alerts
    ADD CONSTRAINT platform_alerts_pkey PRIMARY KEY (kind, subject, opened_at);

ALTER TABLE ONLY public.prediction_data
    ADD CONSTRAINT prediction_data_pkey PRIMARY KEY ("timestamp", crypto_symbol, model_name);

ALTER TABLE ONLY public.published_keys
    ADD CONSTRAINT published_keys_pkey PRIMARY KEY (subject, key);

ALTER TABLE ONLY public.quality_documents
    ADD CONSTRAINT quality_documents_pkey PRIMARY KEY (asset, evaluated_at);

ALTER TABLE ONLY public.quality_results
    ADD CONSTRAINT quality_results_pkey PRIMARY KEY (run, asset, expectation);

ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rest_budgets
    ADD CONSTRAINT rest_budgets_pkey PRIMARY KEY (exchange);

ALTER TABLE ONLY public.retention_policy
    ADD CONSTRAINT retention_policy_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.robots_cache
    ADD CONSTRAINT robots_cache_pkey PRIMARY KEY (origin);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.sentiment_data
    ADD CONSTRAINT sentiment_data_pkey PRIMARY KEY ("timestamp", crypto_symbol, source);

ALTER TABLE ONLY public.shared_article_names
    ADD CONSTRAINT shared_article_names_pkey PRIMARY KEY (website, name);

ALTER TABLE ONLY public.sink_fence
    ADD CONSTRAINT sink_fence_pkey PRIMARY KEY (query_id, part);

ALTER TABLE ONLY public.source_quotas
    ADD CONSTRAINT source_quotas_pkey PRIMARY KEY (source, period);

ALTER TABLE ONLY public.source_states
    ADD CONSTRAINT source_states_pkey PRIMARY KEY (source);

ALTER TABLE ONLY public.staged_candles
    ADD CONSTRAINT staged_candles_pkey PRIMARY KEY (exchange, symbol, timeframe, origin, number);

ALTER TABLE ONLY public.staging
    ADD CONSTRAINT staging_pkey PRIMARY KEY (subject, key);

ALTER TABLE ONLY public.stream_control
    ADD CONSTRAINT stream_control_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.stream_events
    ADD CONSTRAINT stream_events_pkey PRIMARY KEY (name, at, event);

ALTER TABLE ONLY public.stream_status
    ADD CONSTRAINT stream_status_name_epoch_key UNIQUE (name, epoch);

ALTER TABLE ONLY public.stream_status
    ADD CONSTRAINT stream_status_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.stream_verdicts
    ADD CONSTRAINT stream_verdicts_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.ticker_data
    ADD CONSTRAINT ticker_data_pkey PRIMARY KEY ("timestamp", exchange, pair);

ALTER TABLE ONLY public.tiering_policy
    ADD CONSTRAINT tiering_policy_pkey PRIMARY KEY (subject, timeframe);

ALTER TABLE ONLY public.trade_coverage
    ADD CONSTRAINT trade_coverage_pkey PRIMARY KEY (exchange, pair, since);

ALTER TABLE ONLY public.trade_data
    ADD CONSTRAINT trade_data_pkey PRIMARY KEY ("timestamp", exchange, pair, trade_id);

ALTER TABLE ONLY public.trade_gaps
    ADD CONSTRAINT trade_gaps_pkey PRIMARY KEY (exchange, pair, first_missing_id);

ALTER TABLE ONLY public.visualization_parameter
    ADD CONSTRAINT visualization_parameter_name_key UNIQUE (name);

ALTER TABLE ONLY public.visualization_parameter
    ADD CONSTRAINT visualization_parameter_pkey PRIMARY KEY (id);

CREATE INDEX candles_read ON cold_storage.candles USING btree (exchange, symbol, timeframe, window_start DESC);

CREATE INDEX indicators_read ON cold_storage.indicators USING btree (exchange, symbol, timeframe, window_start DESC);

CREATE INDEX action_log_read ON public.action_log USING btree (subject, at DESC);

CREATE INDEX alert_data_read ON public.alert_data USING btree (pair, "timestamp" DESC);

CREATE INDEX analytics_data_read ON public.analytics_data USING btree (exchange, pair, "timestamp" DESC);

CREATE INDEX anomaly_data_read ON public.anomaly_data USING btree (exchange, pair, "timestamp" DESC);

CREATE INDEX archive_files_troubled ON public.archive_files USING btree (status) WHERE (status <> 'sound'::text);

CREATE INDEX article_data_coins ON public.article_data USING gin (cryptocurrencies_mentioned);

CREATE INDEX article_revisions_seen ON public.article_revisions USING btree (first_seen DESC);

CREATE INDEX candle_differences_judged ON public.candle_differences USING btree (window_start) WHERE (cause <> 'late_trades'::text);

CREATE INDEX candle_differences_open ON public.candle_differences USING btree (found_at) WHERE (cause IS NULL);

CREATE INDEX candle_gaps_due ON public.candle_gaps USING btree (due_at) WHERE (status = ANY (ARRAY['open'::text, 'healing'::text, 'failed'::text]));

CREATE INDEX candle_gaps_missing ON public.candle_gaps USING btree (exchange, symbol, timeframe, gap_start) WHERE (status <> 'healed'::text);

CREATE INDEX candle_gaps_status ON public.candle_gaps USING btree (status, detected_at);

CREATE INDEX candles_by_symbol ON public.candles USING btree (symbol, timeframe, window_start DESC);

CREATE INDEX candles_open ON public.candles USING btree (window_end) WHERE (NOT closed);

CREATE INDEX candles_read ON public.candles USING btree (exchange, symbol, timeframe, window_start DESC);

CREATE INDEX completeness_lacking ON public.completeness USING btree (day) WHERE (stored < expected);

CREATE INDEX exchange_candles_read ON public.exchange_candles USING btree (exchange, symbol, timeframe, window_start DESC);

CREATE INDEX held_trades_row ON public.held_trades USING btree (fingerprint, row_number);

CREATE INDEX import_progress_read ON public.import_progress USING btree (updated_at DESC);

CREATE INDEX indicators_read ON public.indicators USING btree (exchange, symbol, timeframe, window_start DESC);

CREATE INDEX market_data_read ON public.market_data USING btree (symbol, "timestamp" DESC);

CREATE UNIQUE INDEX platform_alerts_open ON public.platform_alerts USING btree (kind, subject) WHERE (closed_at IS NULL);

CREATE INDEX platform_alerts_read ON public.platform_alerts USING btree (opened_at DESC);

CREATE INDEX prediction_data_read ON public.prediction_data USING btree (crypto_symbol, "timestamp" DESC);

CREATE INDEX published_keys_age ON public.published_keys USING btree (subject, published_at);

CREATE INDEX quality_documents_read ON public.quality_documents USING btree (evaluated_at DESC);

CREATE INDEX quality_results_age ON public.quality_results USING btree (evaluated_at);

CREATE INDEX quality_results_read ON public.quality_results USING btree (asset, evaluated_at DESC);

CREATE INDEX quarantine_discarded ON public.quarantine USING btree (subject, key) WHERE (discarded_at IS NOT NULL);

CREATE UNIQUE INDEX quarantine_open ON public.quarantine USING btree (subject, series) WHERE ((released_at IS NULL) AND (discarded_at IS NULL));

CREATE INDEX quarantine_read ON public.quarantine USING btree (created_at DESC);

CREATE INDEX sentiment_data_read ON public.sentiment_data USING btree (crypto_symbol, "timestamp" DESC);

CREATE INDEX staged_candles_passed ON public.staged_candles USING btree (passed_at) WHERE (passed_at IS NOT NULL);

CREATE INDEX staging_waiting ON public.staging USING btree (subject, number);

CREATE INDEX ticker_data_read ON public.ticker_data USING btree (exchange, pair, "timestamp" DESC);

CREATE INDEX trade_data_read ON public.trade_data USING btree (exchange, pair, "timestamp", trade_id);

CREATE INDEX trade_gaps_due ON public.trade_gaps USING btree (due_at) WHERE (status = ANY (ARRAY['open'::text, 'healing'::text, 'failed'::text]));

CREATE INDEX trade_gaps_status ON public.trade_gaps USING btree (status, detected_at);

CREATE TRIGGER candles_added AFTER INSERT ON public.candles REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_candles();

CREATE TRIGGER candles_corrected AFTER UPDATE ON public.candles REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_candles();

CREATE TRIGGER candles_replaced AFTER UPDATE ON public.candles FOR EACH ROW WHEN (((old.source = 'stream'::text) AND (new.source = 'rest'::text) AND (old.closed OR (old.timeframe = '1m'::text)) AND ((((((old.open IS DISTINCT FROM new.open) OR (old.high IS DISTINCT FROM new.high)) OR (old.low IS DISTINCT FROM new.low)) OR (old.close IS DISTINCT FROM new.close)) OR (old.volume IS DISTINCT FROM new.volume)) OR ((old.trade_count <> new.trade_count) AND ((new.trade_count > 0) OR (new.volume = (0)::numeric)))))) EXECUTE FUNCTION public.keep_candle_difference();
