-- Takes the next gaps in the candles that are due, for whoever asks the exchange: the newest of a series and those
-- before it that one request reaches, too. Left out is what somebody else is at work on unless he fell silent, and what
-- `gap_is_left` names. Short timeframes first: the longer candles come from them.
-- Parameters: exchanges, now, silent_since, page (windows).
WITH due AS (
    SELECT exchange, symbol, timeframe, gap_start, gap_end
    FROM candle_gaps
    WHERE exchange = ANY(%(exchanges)s)
      AND (status IN ('open', 'failed') AND due_at <= %(now)s OR status = 'healing' AND asked_at < %(silent_since)s)
      AND NOT gap_is_left(candle_gaps)
    FOR UPDATE SKIP LOCKED
), newest AS (
    SELECT * FROM due ORDER BY timeframe_length(timeframe), gap_start DESC LIMIT 1
)
UPDATE candle_gaps SET status = 'healing', attempts = attempts + 1, asked_at = %(now)s, received_at = now()
FROM due, newest
WHERE candle_gaps.exchange = due.exchange AND candle_gaps.symbol = due.symbol
  AND candle_gaps.timeframe = due.timeframe AND candle_gaps.gap_start = due.gap_start
  AND due.exchange = newest.exchange AND due.symbol = newest.symbol AND due.timeframe = newest.timeframe
  AND (due.gap_start = newest.gap_start
       OR due.gap_start >= newest.gap_end - %(page)s * timeframe_length(newest.timeframe))
RETURNING candle_gaps.exchange, candle_gaps.symbol, candle_gaps.timeframe, candle_gaps.gap_start, candle_gaps.gap_end,
          label, attempts, confirmations
