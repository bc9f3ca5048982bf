-- A row of quarantine is a trade: it belongs to one of the minutes that it was held for, and to none of the others.
-- Parameters: key, minute, price, volume, trade_count.
UPDATE held_trades
SET held = false,
    price = CASE WHEN minute = %(minute)s THEN %(price)s::numeric END,
    volume = CASE WHEN minute = %(minute)s THEN %(volume)s::numeric END,
    trade_count = CASE WHEN minute = %(minute)s THEN %(trade_count)s::bigint END
WHERE fingerprint = regexp_replace(%(key)s, ':[0-9]+$', '') AND row_number = substring(%(key)s FROM '[0-9]+$')::bigint
  AND held
