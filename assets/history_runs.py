"""What fetches the past: candles of any month and series, timeframe by timeframe.

A run costs seconds of CPU before it asks anything, so that one does as much as it can; an exchange answers only so many
requests a minute, so that more runs of it would wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.keys import CANDLES_OF
from assets.partitions import month_of
from cryptoviz.pairs import Timeframe

FETCH_HISTORY: Final = dg.define_asset_job(
    "fetch_history",
    selection=dg.AssetSelection.assets(*CANDLES_OF.values()),
    description="Fetch closed candles of months and series from the exchanges, judge and store them.",
    # A year of minutes of a busy market that has only trades to offer takes long, and goes on where it was stopped.
    tags={"dagster/max_runtime": "86400", "kind": "history", "cryptoviz/long": "true"},
)

CONFIGURED: Final = "cryptoviz/configured"
"""The tag of a run that fetches what the settings ask for: it advances `backfill_progress`."""

SINCE: Final = "cryptoviz/since"
UNTIL: Final = "cryptoviz/until"
"""The tags of a run that fetches only a part of its months: instants in ISO 8601."""

EXCHANGE: Final = "cryptoviz/exchange"
TIMEFRAME: Final = "cryptoviz/timeframe"


@dataclass(frozen=True)
class Fetch:
    """One run: neighbouring partitions of series of one exchange and timeframe, the same months of each."""

    exchange: str
    timeframe: Timeframe
    months: tuple[str, str]
    series: Sequence[str]
    tags: Mapping[str, str] = field(default_factory=dict)

    def request(self) -> dg.RunRequest:
        """The run that fetches them."""
        begin, end = self.months
        return dg.RunRequest(
            asset_selection=[CANDLES_OF[self.timeframe]],
            tags={
                ASSET_PARTITION_RANGE_START_TAG: f"{begin}|{self.series[0]}",
                ASSET_PARTITION_RANGE_END_TAG: f"{end}|{self.series[-1]}",
                EXCHANGE: self.exchange,
                TIMEFRAME: self.timeframe.value,
                **self.tags,
            },
        )


def months(since: datetime, until: datetime) -> tuple[str, str]:
    """The first and the last month that a range touches."""
    return month_of(since), month_of(until - timedelta(microseconds=1))


def neighbours(series: Sequence[str], partitions: Sequence[str]) -> Iterator[Sequence[str]]:
    """The series in groups that are ranges of the partitions: all that lies between two of a group is in it."""
    position = {name: number for number, name in enumerate(partitions)}
    group: list[str] = []
    for name in sorted(series, key=position.__getitem__):
        if group and position[name] != position[group[-1]] + 1:
            yield group
            group = []
        group.append(name)
    if group:
        yield group
