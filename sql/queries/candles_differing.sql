-- 1m candles made of streamed trades that differ from what their trades come to now, or are lacking: how many minutes
-- were compared, and each that differs. One statement sees trades and candles as one transaction left them.
-- Parameters: exchange (empty: all), since, until.
WITH computed AS (
    SELECT exchange, pair, date_trunc('minute', "timestamp") AS minute,
           (array_agg(price ORDER BY "timestamp", trade_id))[1] AS open, max(price) AS high, min(price) AS low,
           (array_agg(price ORDER BY "timestamp" DESC, trade_id DESC))[1] AS close,
           sum(volume) AS volume, count(*) AS trade_count
    FROM trade_data
    WHERE (%(exchange)s::text IS NULL OR exchange = %(exchange)s)
      AND "timestamp" >= %(since)s AND "timestamp" < %(until)s
    GROUP BY 1, 2, 3
), compared AS (
    SELECT computed.exchange, computed.pair, computed.minute, stored.trade_count AS stored_trades,
           computed.trade_count AS trades, stored.close AS stored_close, computed.close,
           (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count) IS DISTINCT FROM
           (computed.open, computed.high, computed.low, computed.close, computed.volume, computed.trade_count)
               AS differs
    FROM computed
    LEFT JOIN candles AS stored
        ON stored.exchange = computed.exchange AND stored.symbol = computed.pair AND stored.timeframe = '1m'
       AND stored.window_start = computed.minute
       AND stored.window_start >= %(since)s AND stored.window_start < %(until)s
    WHERE stored.source IS DISTINCT FROM 'rest'
)
SELECT totals.compared, totals.trades AS all_trades, differing.exchange, differing.pair, differing.minute,
       differing.stored_trades, differing.trades, differing.stored_close, differing.close
FROM (SELECT count(*) AS compared, coalesce(sum(trades), 0)::bigint AS trades FROM compared) AS totals
LEFT JOIN (SELECT * FROM compared WHERE differs) AS differing ON true
ORDER BY differing.exchange, differing.pair, differing.minute
