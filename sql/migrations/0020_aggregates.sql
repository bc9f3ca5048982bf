-- Trades that freqtrade and others had fetched of these exchanges are aggregates of several trades each, under ids of their
-- own. Earlier versions stored them as if they were trades. Which rows came of which file nobody wrote down, so nothing is
-- removed here: action_log names every file that may be of that kind, and docs/history.md says how to put it right.

insert into action_log (action, subject, detail)
select 'trades_that_may_be_aggregates', exchange || ' ' || symbol,
       jsonb_build_object('file', file, 'format', format, 'first', first_ts, 'last', last_ts, 'rows stored', rows_stored,
                          'how to put it right', 'docs/history.md, "Putting a wrong import right"')
from import_progress
where kind = 'trades' and format not in ('binance', 'kraken') and first_ts is not null
  and exchange in ('aster', 'binance', 'binancecoinm', 'binanceus', 'binanceusdm', 'mexc', 'tokocrypto')
order by exchange, symbol, first_ts;
