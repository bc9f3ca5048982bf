select pair, first_missing_id, last_missing_id, coalesce(label, 'lost_by_us'), status, attempts, detected_at
from trade_gaps
where exchange = %(exchange)s and status in ('open', 'healing', 'failed') and last_missing_id is not null
order by detected_at;
