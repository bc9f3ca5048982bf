"""The table `indicators` from the candles."""

from __future__ import annotations

from typing import Final

import dagster as dg

INDICATORS: Final = dg.AssetKey("indicators")

REFRESH_INDICATORS: Final = dg.define_asset_job(
    "refresh_indicators",
    selection=dg.AssetSelection.assets(INDICATORS),
    description="Compute the indicators of all candles that were written since; with `whole_history` of every candle.",
    tags={"dagster/max_runtime": "3600", "cryptoviz/long": "true"},
)
