-- Makes the candles of one pair anew over the minutes of these instants: how many changed.
-- Parameters: exchange, pair, instants.
SELECT count(*)
FROM refresh_candles(
    array_fill(%(exchange)s::text, ARRAY[cardinality(%(instants)s::timestamptz[])]),
    array_fill(%(pair)s::text, ARRAY[cardinality(%(instants)s::timestamptz[])]), %(instants)s::timestamptz[]
)
