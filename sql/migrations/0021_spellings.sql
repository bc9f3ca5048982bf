-- How each exchange spells a pair, for a comparison with our own table of spellings before the pair is asked for.
--
-- Until now Kraken was asked for LUNA and REP under these names, which there are LUNC and REPV1. From now on they are
-- what everybody calls so. What is stored stays under the name it had, and action_log says until when that is another
-- coin; where a collector stood and what was missing belongs to the other coin and must not be filled from this one.

alter table instruments add column spelling text;

create temporary table renamed on commit drop as
select distinct exchange, pair
from (
    select exchange, pair from collector_position
    union all
    select exchange, pair from trade_gaps
    union all
    select exchange, symbol from candle_gaps
    union all
    select exchange, symbol from backfill_progress
) as stored
where exchange = 'kraken' and pair ~ '(^|/)(LUNA|REP)(/|$)';

insert into action_log (action, subject, detail)
select 'pair_changed_its_meaning', exchange || ' ' || pair,
       jsonb_build_object('until', now(), 'stored as', pair, 'was', replace(replace(pair, 'LUNA', 'LUNC'), 'REP', 'REPV1'))
from renamed;

delete from collector_position using renamed
where collector_position.exchange = renamed.exchange and collector_position.pair = renamed.pair;

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
