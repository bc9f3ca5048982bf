"""The static site that says what the gate found."""

from __future__ import annotations

from typing import Final

import dagster as dg

REPORTS: Final = dg.AssetKey("reports")

BUILD_REPORTS: Final = dg.define_asset_job(
    "build_reports",
    selection=dg.AssetSelection.assets(REPORTS),
    description="Build the reports anew: hourly, soon after other expectations fail than before, and on demand.",
    tags={"dagster/max_runtime": "900", "kind": "report"},
)
