"""A trend as geometry: so many bars over a stretch of time, drawn by a template as inline SVG.

counts by hour -> points (by hour or by day) -> bars in a box of units, each with its words
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_STEP: Final = 4.0
_GAP: Final = 0.25
_LEAST: Final = 1.5
"""What is there is seen, however small beside the rest."""

_UPPER: Final = 34.0
_LOWER: Final = 14.0
_BETWEEN: Final = 2.0
_SHORT: Final[Mapping[timedelta, str]] = {HOUR: "%d %b %H:00", DAY: "%d %b"}
_UNITS: Final[Mapping[timedelta, str]] = {HOUR: "hours", DAY: "days"}


@dataclass(frozen=True)
class Tally:
    """What came of the judgements in a stretch of time, and how many rows went into quarantine."""

    passed: int = 0
    failed: int = 0
    quarantined: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failed + other.failed, self.quarantined + other.quarantined)


@dataclass(frozen=True)
class Bar:
    """A rectangle. `kind` is `passed`, `failed` or `quarantined`."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """One stretch of time: its bars, and the same in words."""

    words: str
    x: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Trend:
    """Columns from old to new in a box of `width` by `height`: judgements above, quarantined rows below."""

    columns: tuple[Column, ...]
    total: Tally
    since: datetime
    until: datetime
    step: timedelta

    @property
    def width(self) -> float:
        """Units across: one for each stretch of time, four wide."""
        return len(self.columns) * _STEP

    @property
    def height(self) -> float:
        """Units from top to bottom."""
        return _UPPER + _BETWEEN + _LOWER

    @property
    def ground(self) -> float:
        """Where judgements stand and quarantined rows hang from."""
        return _UPPER + _BETWEEN / 2

    @property
    def step_width(self) -> float:
        """Units across of one stretch of time."""
        return _STEP

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last stretch of time, in words."""
        shape = _SHORT[self.step]
        return self.since.strftime(shape), (self.until - self.step).strftime(shape)

    @property
    def words(self) -> str:
        """The whole in a sentence, for who does not see it."""
        return f"Last {len(self.columns)} {_UNITS[self.step]}: {_counted(self.total)}"


def trend(tallies: Mapping[datetime, Tally], until: datetime, step: timedelta, count: int) -> Trend:
    """The last `count` hours or days up to and including the one of `until`, from tallies by hour."""
    last = _floor(until, step)
    starts = [last - step * (count - 1 - place) for place in range(count)]
    summed = dict.fromkeys(starts, Tally())
    for hour, tally in tallies.items():
        start = _floor(hour, step)
        if start in summed:
            summed[start] += tally
    return Trend(_columns(summed, step), sum(summed.values(), Tally()), starts[0], last + step, step)


def _floor(at: datetime, step: timedelta) -> datetime:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if step == HOUR else hour.replace(hour=0)


def _columns(summed: Mapping[datetime, Tally], step: timedelta) -> tuple[Column, ...]:
    judged = max((tally.passed + tally.failed for tally in summed.values()), default=0)
    quarantined = max((tally.quarantined for tally in summed.values()), default=0)
    return tuple(
        Column(_said(start, tally, step), place * _STEP, tuple(_bars(place * _STEP, tally, judged, quarantined)))
        for place, (start, tally) in enumerate(summed.items())
    )


def _bars(x: float, tally: Tally, judged: int, quarantined: int) -> Sequence[Bar]:
    """Failures stand on the ground, so that they are compared with each other; what passed stands on them."""
    width, left = _STEP * (1 - _GAP), x + _STEP * _GAP / 2
    failed, passed = (_height(count, judged, _UPPER) for count in (tally.failed, tally.passed))
    passed = min(passed, _UPPER - failed)
    kept = _height(tally.quarantined, quarantined, _LOWER)
    found = [
        Bar("failed", left, _UPPER - failed, width, failed),
        Bar("passed", left, _UPPER - failed - passed, width, passed),
        Bar("quarantined", left, _UPPER + _BETWEEN, width, kept),
    ]
    return [bar for bar in found if bar.height]


def _height(count: int, most: int, room: float) -> float:
    return round(max(_LEAST, count / most * room), 2) if count else 0.0


def _said(start: datetime, tally: Tally, step: timedelta) -> str:
    return f"{start.strftime(_SHORT[step])}: {_counted(tally)}"


def _counted(tally: Tally) -> str:
    rows = "row" if tally.quarantined == 1 else "rows"
    return f"{tally.passed:,} passed, {tally.failed:,} failed, {tally.quarantined:,} {rows} into quarantine"
