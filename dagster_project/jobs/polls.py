"""What is polled by the clock: the news every five minutes, the market every minute, with it now and then the mood."""

from __future__ import annotations

from typing import Final

import dagster as dg

ARTICLES: Final = dg.AssetKey(["poll", "articles"])
MARKET: Final = dg.AssetKey(["poll", "market"])
MOOD: Final = dg.AssetKey(["poll", "mood"])

POLL_ARTICLES: Final = dg.define_asset_job(
    "poll_articles",
    selection=dg.AssetSelection.assets(ARTICLES),
    description="Ask every news feed for what is new; judge it and send what passes to `rawarticle`.",
    tags={"dagster/max_runtime": "600", "dagster/priority": "1", "kind": "poll"},
)
# One job for both: a run costs more than what either of them does in it.
POLL_MARKET: Final = dg.define_asset_job(
    "poll_market",
    selection=dg.AssetSelection.assets(MARKET, MOOD),
    description="Ask for the market overviews and the mood; judge them and send what passes to `rawmarket`, `rawmood`.",
    tags={"dagster/max_runtime": "300", "dagster/priority": "1", "kind": "poll"},
)
