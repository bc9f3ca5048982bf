-- How each exchange spells a pair, for a comparison with our own table of spellings before the pair is asked for.
--
-- Until now Kraken was asked for LUNA and REP under these names, which there are LUNC and REPV1. From now on they are
-- what everybody calls so. What is stored stays under the name it had, and action_log says until when that is another
-- coin; where a collector stood and what was missing belongs to the other coin and must not be filled from this one, and
-- the history is fetched from its beginning.

alter table instruments add column spelling text;

-- From one pair to the next along the index, not over every row.
create function pg_temp.pairs(relation regclass, pair name) returns setof text
language plpgsql
as $$
declare
    found text := '';
begin
    loop
        execute format('select min(%1$I) from %2$s where exchange = ''kraken'' and %1$I > $1', pair, relation)
            into found using found;
        exit when found is null;
        return next found;
    end loop;
end
$$;

create temporary table renamed on commit drop as
select distinct 'kraken' as exchange, pair
from (
    select pair from collector_position where exchange = 'kraken'
    union all
    select pair from trade_gaps where exchange = 'kraken'
    union all
    select symbol from candle_gaps where exchange = 'kraken'
    union all
    select symbol from backfill_progress where exchange = 'kraken'
    union all
    select symbol from staged_candles where exchange = 'kraken'
    union all
    select symbol from import_progress where exchange = 'kraken'
    union all
    select symbol from archive_files where exchange = 'kraken'
    union all
    select pg_temp.pairs('trade_data', 'pair')
    union all
    select pg_temp.pairs('candles', 'symbol')
    union all
    select pg_temp.pairs('cold_storage.candles', 'symbol')
) as stored
where pair ~ '(^|/)(LUNA|REP)(/|$)';

insert into action_log (action, subject, detail)
select 'pair_changed_its_meaning', exchange || ' ' || pair,
       jsonb_build_object('until', now(), 'stored as', pair, 'was', replace(replace(pair, 'LUNA', 'LUNC'), 'REP', 'REPV1'),
                          'how to put it right', 'docs/history.md, "Putting a wrong import right"')
from renamed
order by pair;

delete from collector_position using renamed
where collector_position.exchange = renamed.exchange and collector_position.pair = renamed.pair;

delete from backfill_progress using renamed
where backfill_progress.exchange = renamed.exchange and backfill_progress.symbol = renamed.pair;

delete from staged_candles using renamed
where staged_candles.exchange = renamed.exchange and staged_candles.symbol = renamed.pair;

update trade_gaps set status = 'explained', label = 'source_missing', due_at = null,
    detail = detail || '{"reason": "the pair has meant another coin since"}'
from renamed
where trade_gaps.exchange = renamed.exchange and trade_gaps.pair = renamed.pair
    and trade_gaps.status in ('open', 'healing', 'failed');

update candle_gaps set status = 'explained', label = 'source_missing', due_at = null,
    detail = detail || '{"reason": "the pair has meant another coin since"}'
from renamed
where candle_gaps.exchange = renamed.exchange and candle_gaps.symbol = renamed.pair
    and candle_gaps.status in ('open', 'healing', 'failed');
