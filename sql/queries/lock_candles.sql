-- A piece of batch work on candles begins: the stream waits until this transaction ends.
SELECT lock_candles()
