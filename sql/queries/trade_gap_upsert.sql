insert into trade_gaps
    (exchange, pair, first_missing_id, last_missing_id, label, status, attempts, detected_at, healed_at)
values
    (%(exchange)s, %(pair)s, %(first_missing_id)s, %(last_missing_id)s, %(label)s, %(status)s, %(attempts)s,
     %(detected_at)s, %(healed_at)s)
on conflict (exchange, pair, first_missing_id) do update
set last_missing_id = excluded.last_missing_id, label = excluded.label, status = excluded.status,
    attempts = excluded.attempts, healed_at = excluded.healed_at, received_at = now();
