"""What of the configured history is to be fetched. Pure: the clock and what is known are arguments.

nothing known                     all of it
begun, failed, killed             on from the position; after a failure at growing distance
complete, and more is wanted      the older part, nothing else
complete                          nothing: what is missing in it or after it is a gap, found and healed as one
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptoviz.pairs import Series, ceiling, floor


class BackfillStatus(StrEnum):
    """How a backfill stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class BackfillState:
    """What is wanted of a series, and what is known of it.

    `age`: how far back it is wanted; None: to the exchange's first candle. `position`: everything before it is staged;
    `published`: it is published. `covered_from`: from there to the end an earlier backfill has fetched. `from_first`:
    the exchange has nothing older than `start`.
    """

    series: Series
    age: timedelta | None
    status: BackfillStatus | None = None
    start: datetime | None = None
    end: datetime | None = None
    position: datetime | None = None
    published: datetime | None = None
    covered_from: datetime | None = None
    from_first: bool = False
    attempts: int = 0
    due_at: datetime | None = None
    listed_from: datetime | None = None
    listed_to: datetime | None = None


@dataclass(frozen=True)
class BackfillPlan:
    """A range to be fetched, and how far that got.

    `since` None: from the exchange's first candle on. `open_end`: it goes on to the newest closed candle, however long
    it takes. `covered_from`: `until` is where an earlier backfill began, which ended at `end`.
    """

    series: Series
    since: datetime | None
    until: datetime
    end: datetime
    position: datetime | None = None
    published: datetime | None = None
    covered_from: datetime | None = None
    from_first: bool = False
    listed_from: datetime | None = None
    attempts: int = 0

    @property
    def open_end(self) -> bool:
        """Whether the range ends with the present."""
        return self.covered_from is None


def due(state: BackfillState, now: datetime) -> BackfillPlan | None:
    """What is to be fetched of a series now; None: nothing."""
    if state.due_at is not None and state.due_at > now:
        return None
    if state.status is BackfillStatus.COMPLETED:
        return _older(state, now)
    if state.position is None or state.start is None or state.end is None:
        return _anew(state, now)
    until = state.covered_from or state.end
    return BackfillPlan(
        state.series, state.start, until, state.end, state.position, state.published, state.covered_from,
        state.from_first, state.listed_from, state.attempts,
    )  # fmt: skip


def _anew(state: BackfillState, now: datetime) -> BackfillPlan | None:
    until = floor(min(now, state.listed_to or now), state.series.timeframe)
    since = _wanted(state, now)
    if since is not None and since >= until:
        return None
    from_first = state.listed_from is not None and since == floor(state.listed_from, state.series.timeframe)
    return BackfillPlan(
        state.series, since, until, until, from_first=from_first, listed_from=state.listed_from, attempts=state.attempts
    )


def _older(state: BackfillState, now: datetime) -> BackfillPlan | None:
    since = _wanted(state, now)
    if state.start is None or state.end is None or state.from_first or (since is not None and since >= state.start):
        return None
    return BackfillPlan(
        state.series, since, state.start, state.end, covered_from=state.start, listed_from=state.listed_from,
        attempts=state.attempts,
    )  # fmt: skip


def _wanted(state: BackfillState, now: datetime) -> datetime | None:
    """Since when the series is wanted; None: since the exchange's first candle, whenever that was."""
    timeframe = state.series.timeframe
    since = None if state.age is None else ceiling(now - state.age, timeframe)
    if state.listed_from is None:
        return since
    first_listed = floor(state.listed_from, timeframe)
    return first_listed if since is None else max(since, first_listed)
