"""Recorded trades as an exchange would serve them: original ids and timestamps, over WebSocket and REST.

Kraken's REST answer on disk -> RecordedSeries -> released trade by trade -> sockets and REST
"""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from simulators.trades import MINUTE, SECOND, Minutes, Series, Spec, Trades, minutes_of_trades

_UNLIMITED_BATCH = 200


class RecordedSeries(Series):
    """The trades of one pair as recorded, oldest first, with consecutive ids."""

    def __init__(self, spec: Spec, trades: Trades) -> None:
        if not len(trades):
            raise ValueError("nothing was recorded")
        if (np.diff(trades.ids) != 1).any() or (np.diff(trades.times) < 0).any():
            raise ValueError("recorded trades must be in order, with consecutive ids")
        self.spec = spec
        self.trades = trades

    @property
    def begin(self) -> int:
        """The first recorded trade."""
        return int(self.trades.times[0])

    def between(self, start: int, end: int) -> Trades:
        """The trades with start <= time < end."""
        return self.trades.between(start, end)

    def by_id(self, first: int, last: int) -> Trades:
        """The trades with first <= id <= last, as far as they were recorded."""
        origin = int(self.trades.ids[0])
        return self.trades.part(first - origin, last - origin + 1)

    def count_before(self, instant: int) -> int:
        """The id of the last trade before the instant; the one before the first recorded when there is none."""
        return int(self.trades.ids[0]) + int(np.searchsorted(self.trades.times, instant)) - 1

    def _full_minutes(self, first: int, last: int) -> Minutes:
        return minutes_of_trades(self.between(first * MINUTE * SECOND, last * MINUTE * SECOND), first, last - first)


class Replay:
    """The clock of a recorded series: its market time moves as trades are released."""

    def __init__(self, series: RecordedSeries, speed: float) -> None:
        self.series = series
        self.speed = speed
        self.position = 0
        self._started: float | None = None

    @property
    def now(self) -> int:
        """The market time, in nanoseconds: just after the last released trade; at the end, a minute later."""
        times = self.series.trades.times
        if self.position == len(times):
            return int(times[-1]) + MINUTE * SECOND
        return int(times[self.position])

    @property
    def finished(self) -> bool:
        """Whether every trade was released."""
        return self.position == len(self.series.trades)

    def release(self) -> Trades:
        """The trades due now: at `speed` times real time, or as fast as asked for with speed 0."""
        if self._started is None:
            self._started = time.monotonic()
        start = self.position
        if self.speed:
            times = self.series.trades.times
            market = int(times[0]) + int((time.monotonic() - self._started) * self.speed * SECOND)
            self.position = int(np.searchsorted(times, market, side="right"))
        else:
            self.position = min(start + _UNLIMITED_BATCH, len(self.series.trades))
        return self.series.trades.part(start, self.position)


def read_kraken_trades(path: Path, spec: Spec) -> RecordedSeries:
    """The trades in a recorded answer of Kraken's REST endpoint Trades.

    Raises:
        ValueError: the file holds something else, or digits that the pair's tick and lot sizes cannot express.
    """
    body: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(path.read_bytes())
    rows = next(rows for name, rows in body["result"].items() if name != "last")
    return RecordedSeries(
        spec,
        Trades.of(
            [
                (
                    row[6],
                    int(Decimal(row[2]) * SECOND),
                    _whole(row[0], spec.price_decimals),
                    _whole(row[1], spec.volume_decimals),
                    row[3] == "b",
                )
                for row in rows
            ]
        ),
    )


def _whole(text: str, decimals: int) -> int:
    scaled = Decimal(text).scaleb(decimals)
    if scaled != int(scaled):
        raise ValueError(f"{text} has more than {decimals} decimals")
    return int(scaled)
