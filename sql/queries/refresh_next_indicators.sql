-- Brings the series that was noted first up to date: exchange, symbol, timeframe, rows written. Nothing noted: no row.
SELECT exchange, symbol, timeframe, written FROM refresh_next_indicators()
