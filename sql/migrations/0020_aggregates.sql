-- Trades that freqtrade had fetched of these exchanges are aggregates of several trades each, under ids of their own. They
-- were stored as if they were trades: those leave, and their files may be imported again, for candles.

delete from trade_data using (
    select exchange, symbol, first_ts, last_ts, created_at, updated_at
    from import_progress
    where kind = 'trades' and format = 'freqtrade' and first_ts is not null
      and exchange in ('aster', 'binance', 'binancecoinm', 'binanceus', 'binanceusdm', 'mexc', 'tokocrypto')
) imported
where trade_data.exchange = imported.exchange and trade_data.pair = imported.symbol
  and trade_data."timestamp" between imported.first_ts and imported.last_ts
  and trade_data.received_at between imported.created_at and imported.updated_at;

update import_progress
set status = 'failed', error_message = 'its trades are aggregates: import it again, for their candles', updated_at = now(),
    bytes_read = 0, rows_read = 0, rows_stored = 0, rows_known = 0, rows_quarantined = 0,
    first_ts = null, last_ts = null, candles_from = null, candles_until = null
where kind = 'trades' and format = 'freqtrade'
  and exchange in ('aster', 'binance', 'binancecoinm', 'binanceus', 'binanceusdm', 'mexc', 'tokocrypto');
