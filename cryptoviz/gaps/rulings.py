"""What becomes of a gap, decided from what the exchange answers. Pure: the clock is an argument.

    the exchange has the candle               lost_by_us      stored, healed
                 has it, without trades       no_trades       stored, healed
                 has none, says: no trades    no_trades       explained
                 has none                     source_missing  asked again at growing intervals, then explained
                 has what no candle can be    (as before)     held back, asked again at growing intervals
                 gives half an answer, none   (as before)     asked again at growing intervals

The set work is done in ``sql/functions/candle_gaps_recorded.sql``: what is missing, and rows that are split, grown,
healed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from cryptoviz.exchanges.history import Answer, Span
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.pairs import Series, Timeframe

CONFIRMED: Final = 5
"""So often an exchange must have said that it has no such candle before it is believed for good."""

TRADES_CONFIRMED: Final = 3
"""The same of trades."""

PER_REQUEST: Final = 1000
"""So many windows (or trade ids) are asked for at once."""

_CONFIRMED_AGAIN: Final = (
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)
_UNANSWERED_AGAIN: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)
REFUSED_AGAIN: Final = timedelta(days=1)


@dataclass(frozen=True)
class Gap:
    """Consecutive windows of a series that are not stored. `attempts` includes the one that is under way."""

    series: Series
    start: datetime
    end: datetime
    label: GapLabel | None = None
    status: GapStatus = GapStatus.OPEN
    attempts: int = 0
    confirmations: int = 0

    def within(self, start: datetime, end: datetime) -> list[Gap]:
        """The part of it from `start` to `end`, if there is one."""
        first, last = max(self.start, start), min(self.end, end)
        return [replace(self, start=first, end=last)] if first < last else []


class Finding(StrEnum):
    """What an exchange says of a window that we lack."""

    TRADED = "traded"
    QUIET = "quiet"
    """It lists the window, without trades."""
    SILENT = "silent"
    """It does not list the window, and says that there were no trades."""
    IMPOSSIBLE = "impossible"
    """What it gives for the window cannot be a candle, or fails the gate."""
    LACKING = "lacking"
    UNANSWERED = "unanswered"


@dataclass(frozen=True)
class FindingSpan:
    """Consecutive windows with the same finding. `reason`: why they cannot be candles."""

    start: datetime
    end: datetime
    finding: Finding
    reason: str = ""


@dataclass(frozen=True)
class Ruling:
    """What is to be written of windows that stay missing."""

    start: datetime
    end: datetime
    label: GapLabel | None
    status: GapStatus
    confirmations: int
    due_at: datetime | None
    detail: dict[str, Any] = field(default_factory=dict)


def request_spans(start: datetime, end: datetime, timeframe: Timeframe) -> Iterator[Span]:
    """A range cut into spans of at most `PER_REQUEST` windows, the oldest first."""
    step = timeframe.length * PER_REQUEST
    while start < end:
        stop = min(end, start + step)
        yield start, stop
        start = stop


def findings(start: datetime, end: datetime, timeframe: Timeframe, answer: Answer) -> list[FindingSpan]:
    """What an answer says of each window from `start` to `end`, equal neighbours in one span."""
    by_window = {row.window_start: Finding.TRADED if row.volume else Finding.QUIET for row in answer.rows}
    length = timeframe.length
    impossible = {start + (row.window_start - start) // length * length: row.reason for row in answer.impossible}
    otherwise = Finding.LACKING if answer.complete else Finding.UNANSWERED
    spans: list[FindingSpan] = []
    at = start
    while at < end:
        following, reason = at + length, ""
        if (found := by_window.get(at)) is None and at in impossible:
            found, reason = Finding.IMPOSSIBLE, impossible[at]
        found = found or (Finding.SILENT if _within(at, following, answer.silent) else otherwise)
        if spans and (spans[-1].finding, spans[-1].reason) == (found, reason):
            spans[-1] = replace(spans[-1], end=following)
        else:
            spans.append(FindingSpan(at, following, found, reason))
        at = following
    return spans


def _within(start: datetime, end: datetime, spans: Sequence[Span]) -> bool:
    return any(first <= start and end <= last for first, last in spans)


def rulings(gap: Gap, answer: Answer, now: datetime) -> list[Ruling]:
    """What to write of the windows of a gap that an answer does not fill."""
    spans = findings(gap.start, gap.end, gap.series.timeframe, answer)
    found = (_ruling(replace(gap, start=span.start, end=span.end), span, now) for span in spans)
    return [ruling for ruling in found if ruling is not None]


def _ruling(gap: Gap, span: FindingSpan, now: datetime) -> Ruling | None:
    times = gap.confirmations + 1
    match span.finding:
        case Finding.SILENT:
            return Ruling(gap.start, gap.end, GapLabel.NO_TRADES, GapStatus.EXPLAINED, times, None)
        case Finding.LACKING:
            due, status = confirmed(times, CONFIRMED, now)
            return Ruling(gap.start, gap.end, GapLabel.SOURCE_MISSING, status, times, due)
        case Finding.IMPOSSIBLE:
            return unanswered(gap, now, span.reason)
        case Finding.UNANSWERED:
            return unanswered(gap, now, "the answer did not reach that far")
        case Finding.TRADED | Finding.QUIET:
            return None


def unanswered(gap: Gap, now: datetime, reason: str) -> Ruling:
    """What to write where there was no answer: nothing new but when to ask again, and why."""
    due = again(gap.attempts, now)
    return Ruling(gap.start, gap.end, gap.label, GapStatus.OPEN, gap.confirmations, due, {"reason": reason})


def refused(gap: Gap, now: datetime, reason: str) -> Ruling:
    """What to write where the exchange refused to answer: somebody should look, and it is tried again every day."""
    due = now + REFUSED_AGAIN
    return Ruling(gap.start, gap.end, gap.label, GapStatus.FAILED, gap.confirmations, due, {"reason": reason})


def again(attempts: int, now: datetime) -> datetime:
    """When to ask again after an exchange gave no answer for the nth time."""
    return now + _UNANSWERED_AGAIN[min(max(attempts, 1), len(_UNANSWERED_AGAIN)) - 1]


def confirmed(times: int, enough: int, now: datetime) -> tuple[datetime | None, GapStatus]:
    """When to ask again after an exchange said for the nth time that it has nothing there, and the status meanwhile."""
    if times >= enough:
        return None, GapStatus.EXPLAINED
    return now + _CONFIRMED_AGAIN[min(times, len(_CONFIRMED_AGAIN)) - 1], GapStatus.OPEN


@dataclass(frozen=True)
class TradeGap:
    """Consecutive trade ids that are not stored, and the times of the trades beside them."""

    exchange: str
    pair: str
    first: int
    last: int
    label: str | None
    attempts: int
    confirmations: int
    made_after: datetime
    made_before: datetime


@dataclass(frozen=True)
class TradeRuling:
    """What is to be written of trades that stay missing."""

    label: str | None
    status: GapStatus
    confirmations: int
    due_at: datetime | None
    reason: str


def lacking_trades(gap: TradeGap, now: datetime, *, complete: bool) -> TradeRuling:
    """What to write of trades that an answer did not hold."""
    if not complete:
        return unanswered_trades(gap, now, "the answer did not reach that far")
    times = gap.confirmations + 1
    due, status = confirmed(times, TRADES_CONFIRMED, now)
    return TradeRuling(GapLabel.SOURCE_MISSING, status, times, due, "the exchange has no such trades")


def unanswered_trades(gap: TradeGap, now: datetime, reason: str) -> TradeRuling:
    """What to write where there was no answer."""
    return TradeRuling(gap.label, GapStatus.OPEN, gap.confirmations, again(gap.attempts, now), reason)


def refused_trades(gap: TradeGap, now: datetime, reason: str) -> TradeRuling:
    """What to write where the exchange refused to answer."""
    return TradeRuling(gap.label, GapStatus.FAILED, gap.confirmations, now + REFUSED_AGAIN, reason)
