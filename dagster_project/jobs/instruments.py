"""The table `instruments` from the exchanges."""

from __future__ import annotations

from typing import Final

import dagster as dg

REFRESH_INSTRUMENTS: Final = dg.define_asset_job(
    "refresh_instruments",
    selection=dg.AssetSelection.assets("instruments"),
    description="Ask one exchange for its spot pairs and bring the table `instruments` in line.",
    tags={"dagster/max_runtime": "900"},
)
