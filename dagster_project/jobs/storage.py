"""Where rows are: hot, cold, in the archive."""

from __future__ import annotations

from typing import Final

import dagster as dg

TIERING: Final = dg.AssetKey("tiering")
ARCHIVE: Final = dg.AssetKey("archive")
RETENTION: Final = dg.AssetKey("retention")

KEEP_STORAGE: Final = dg.define_asset_job(
    "keep_storage",
    selection=dg.AssetSelection.assets(TIERING, ARCHIVE, RETENTION),
    description=(
        "Move old rows to cold_storage; archive what is beyond that, and what other tables keep no longer. The first "
        "hourly, all of it nightly."
    ),
    tags={"dagster/max_runtime": "10800", "kind": "storage", "cryptoviz/long": "true"},
)
