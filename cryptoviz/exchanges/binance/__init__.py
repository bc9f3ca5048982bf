"""Binance: spot, combined streams and the public REST interface."""
