"""The keys of the assets that more than one module names. They import nothing of ours but words."""

from __future__ import annotations

from typing import Final

import dagster as dg

from cryptoviz.pairs import Timeframe

ARTICLES: Final = dg.AssetKey(["poll", "articles"])
MARKET: Final = dg.AssetKey(["poll", "market"])
MOOD: Final = dg.AssetKey(["poll", "mood"])
TRADE_GAPS: Final = dg.AssetKey("trade_gaps")
CANDLE_GAPS: Final = dg.AssetKey("candle_gaps")
COMPLETENESS: Final = dg.AssetKey("completeness")
CANDLES_OF: Final = {timeframe: dg.AssetKey(["history", f"candles_{timeframe.value}"]) for timeframe in Timeframe}
"""The asset of each timeframe."""
INDICATORS: Final = dg.AssetKey("indicators")
REPORTS: Final = dg.AssetKey("reports")
TIERING: Final = dg.AssetKey("tiering")
ARCHIVE: Final = dg.AssetKey("archive")
RETENTION: Final = dg.AssetKey("retention")
CHECKED: Final = (
    "trade_data",
    "ticker_data",
    "candles",
    "exchange_candles",
    "alert_data",
    "trade_gaps",
    "completeness",
)
"""The tables that have checks."""
