-- Takes indicators out whose warm-up was not over, where those archived before had theirs behind them.
DELETE FROM pg_temp.archive_merged AS new USING pg_temp.archive_copy AS old
WHERE (new.window_start, new.exchange, new.symbol, new.timeframe)
      = (old.window_start, old.exchange, old.symbol, old.timeframe)
  AND num_nonnulls(new.rsi_14, new.macd_signal, new.bollinger_middle)
      < num_nonnulls(old.rsi_14, old.macd_signal, old.bollinger_middle)
