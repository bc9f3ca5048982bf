-- What arrived lately, per exchange: trades and tickers of the last minute, and the age of the newest of each.
SELECT exchange,
       sum(trades)::bigint AS trades_last_minute,
       sum(tickers)::bigint AS tickers_last_minute,
       extract(epoch FROM now() - max(newest_trade))::float8 AS trade_age,
       extract(epoch FROM now() - max(newest_ticker))::float8 AS ticker_age
FROM (
    SELECT exchange, count(*) AS trades, 0 AS tickers, max(timestamp) AS newest_trade, NULL::timestamptz AS newest_ticker
    FROM trade_data WHERE timestamp > now() - interval '1 minute' GROUP BY exchange
    UNION ALL
    SELECT exchange, 0, count(*), NULL, max(timestamp)
    FROM ticker_data WHERE timestamp > now() - interval '1 minute' GROUP BY exchange
) AS lately
GROUP BY exchange
ORDER BY exchange
