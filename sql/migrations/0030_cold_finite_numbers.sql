-- The same for cold candles, whose columnstore knows no `not valid`: the table is closed while it is read. Before its
-- version 2.20 TimescaleDB takes no new check for a table with a columnstore: there the columnstore is taken away first,
-- which may take hours, and keep_storage fills it again.

do $$
declare
    columnar boolean := true;
    held bigint;
    chunk regclass;
begin
    loop
        begin
            with gone as (
                delete from cold_storage.candles as stored
                where (high < 'Infinity' and volume < 'Infinity') is false
                returning to_jsonb(stored) as payload
            )
            insert into quarantine (subject, payload, origin, reason, expectation, run)
            select 'candles', payload, jsonb_build_object('table', 'cold_storage.candles'),
                   'A number is finite: NaN and Infinity are none.', 'finite_numbers', 'upgrade'
            from gone;
            get diagnostics held = row_count;
            if held > 0 then
                insert into action_log (action, subject, detail)
                values ('numbers_that_are_none_removed', 'cold_storage.candles', jsonb_build_object('quarantined', held));
            end if;
            alter table cold_storage.candles
                add constraint finite_numbers check (high < 'Infinity' and volume < 'Infinity');
            exit;
        exception
            when check_violation then
                null;  -- such a row came meanwhile
            when feature_not_supported then
                if not columnar then
                    raise;
                end if;
                columnar := false;
                for chunk in
                    select format('%I.%I', chunk_schema, chunk_name)::regclass
                    from timescaledb_information.chunks
                    where hypertable_schema = 'cold_storage' and hypertable_name = 'candles' and is_compressed
                loop
                    perform decompress_chunk(chunk);
                end loop;
                alter table cold_storage.candles set (timescaledb.compress = false);
        end;
    end loop;
    if not columnar then
        perform make_columnar('cold_storage.candles', 'window_start', 'exchange, symbol, timeframe');
    end if;
end
$$;
