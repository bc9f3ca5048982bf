"""Archives in: the files that exchanges and other programmes keep, into trades and candles.

files -> members (a zip has many) -> layout, recognised -> chunks -> gate -> trade_data, candles; import_progress
"""
