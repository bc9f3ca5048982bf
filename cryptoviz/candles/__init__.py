"""Stored candles: closed, made anew from trades, repaired, judged; and the indicators computed from them."""
