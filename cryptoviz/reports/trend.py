"""A trend as bars over time, which a template draws as inline SVG.

counts by hour -> points (by hour or by day) -> bars in a box of units, each with its words
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptoviz.charts import Bar, bar_height, stack

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_STEP: Final = 4.0
_GAP: Final = 0.25
_LEAST: Final = 1.5
"""The least height of a bar, so that a small count is seen."""

_UPPER: Final = 34.0
_LOWER: Final = 14.0
_BETWEEN: Final = 2.0
_SHORT: Final[Mapping[timedelta, str]] = {HOUR: "%d %b %H:00", DAY: "%d %b"}
_UNITS: Final[Mapping[timedelta, str]] = {HOUR: "hours", DAY: "days"}


@dataclass(frozen=True)
class Tally:
    """How many expectations passed and failed in a stretch of time, and how many rows went into quarantine."""

    passed: int = 0
    failed: int = 0
    quarantined: int = 0

    def __add__(self, addend: Tally) -> Tally:
        return Tally(self.passed + addend.passed, self.failed + addend.failed, self.quarantined + addend.quarantined)


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
        """The whole trend in a sentence, for screen readers."""
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
    most_judged = max((tally.passed + tally.failed for tally in summed.values()), default=0)
    most_quarantined = max((tally.quarantined for tally in summed.values()), default=0)
    return tuple(
        Column(
            _column_text(start, tally, step),
            place * _STEP,
            tuple(_bars(place * _STEP, tally, most_judged, most_quarantined)),
        )
        for place, (start, tally) in enumerate(summed.items())
    )


def _bars(x: float, tally: Tally, most_judged: int, most_quarantined: int) -> Sequence[Bar]:
    """Failures stand on the ground, so that they are compared with each other; what passed stands on them."""
    width, left = _STEP * (1 - _GAP), x + _STEP * _GAP / 2
    failed = bar_height(tally.failed, most_judged, _UPPER, _LEAST)
    passed = min(bar_height(tally.passed, most_judged, _UPPER, _LEAST), _UPPER - failed)
    quarantined_height = bar_height(tally.quarantined, most_quarantined, _LOWER, _LEAST)
    below = _UPPER + _BETWEEN + quarantined_height
    return [
        *stack(left, _UPPER, width, {"failed": failed, "passed": passed}),
        *stack(left, below, width, {"quarantined": quarantined_height}),
    ]


def _column_text(start: datetime, tally: Tally, step: timedelta) -> str:
    return f"{start.strftime(_SHORT[step])}: {_counted(tally)}"


def _counted(tally: Tally) -> str:
    rows = "row" if tally.quarantined == 1 else "rows"
    return f"{tally.passed:,} passed, {tally.failed:,} failed, {tally.quarantined:,} {rows} into quarantine"
