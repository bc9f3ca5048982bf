"""The history's gaps, and how complete it is."""

from __future__ import annotations

from typing import Final

import dagster as dg

TRADE_GAPS: Final = dg.AssetKey("trade_gaps")
CANDLE_GAPS: Final = dg.AssetKey("candle_gaps")
COMPLETENESS: Final = dg.AssetKey("completeness")

HEAL_HISTORY: Final = dg.define_asset_job(
    "heal_history",
    selection=dg.AssetSelection.assets(TRADE_GAPS, CANDLE_GAPS, COMPLETENESS),
    description=(
        "Ask the exchanges for what is missing in trades and candles, store and label it, compare what was fetched with"
        " what was streamed, and tell the state; with `whole_history` after a look over all of it."
    ),
    tags={"dagster/max_runtime": "3600", "cryptoviz/long": "true"},
)
