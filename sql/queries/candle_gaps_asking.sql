-- Whoever asks about the gaps of a series is still at it. Parameters: exchange, symbol, timeframe, now.
UPDATE candle_gaps SET asked_at = %(now)s
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND timeframe = %(timeframe)s AND status = 'healing'
