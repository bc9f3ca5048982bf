-- Whether there may be trades among those staged that are stored already. Parameters: exchange, pair, since, until.
SELECT EXISTS (
    SELECT FROM trade_data
    WHERE exchange = %(exchange)s AND pair = %(pair)s
      AND "timestamp" >= %(since)s::timestamptz - interval '1 millisecond'
      AND "timestamp" <= %(until)s::timestamptz + interval '1 millisecond'
)
