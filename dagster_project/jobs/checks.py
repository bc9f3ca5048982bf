"""The checks of the tables that streams fill, and of the history."""

from __future__ import annotations

from typing import Final

import dagster as dg

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

CHECK_TABLES: Final = dg.define_asset_job(
    "check_tables",
    selection=dg.AssetSelection.checks_for_assets(*CHECKED),
    description="Judge the recent rows of every table that streams fill, and the history: all checks in one run.",
    tags={"dagster/max_runtime": "600", "dagster/priority": "1", "kind": "check"},
)
