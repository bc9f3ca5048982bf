-- A piece of batch work that writes trades before it wants the candles: only other batch work waits.
SELECT lock_batch()
