-- Takes candles out that are of fewer trades than those archived before, or streamed where those were fetched.
DELETE FROM pg_temp.archive_merged AS new USING pg_temp.archive_copy AS old
WHERE (new.window_start, new.exchange, new.symbol, new.timeframe)
      = (old.window_start, old.exchange, old.symbol, old.timeframe)
  AND new.source = 'stream' AND (old.source = 'rest' OR new.trade_count < old.trade_count)
