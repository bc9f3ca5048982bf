-- The judged columns of staged candles are not needed any more.
DROP TABLE IF EXISTS judged_candles
