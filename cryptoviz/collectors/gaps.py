"""Continuity of trade ids, and the gaps in it. Pure: the clock is an argument, nothing is fetched or stored here.

    trade id -> Continuity.accept -> new or duplicate
             -> holes: tentative (reordering may still fill them) -> open -> healing -> healed | explained

Ids are consecutive per pair, so every id between the first and the newest ever seen is either seen or in a hole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptoviz.gaps.labels import GapLabel, GapStatus

Span = tuple[int, int]
"""First and last id, both included."""


class Spans:
    """A set of ids kept as sorted, disjoint spans."""

    def __init__(self, *spans: Span) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in spans:
            self.add(first, last)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __iter__(self) -> Iterator[Span]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def count(self) -> int:
        """How many ids it holds (not `len`: that is a hint of memory to reserve for whoever iterates)."""
        return sum(last - first + 1 for first, last in self)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def add(self, first: int, last: int) -> None:
        """Add the ids `first` to `last`; overlapping and adjacent spans become one."""
        low = bisect_right(self._lasts, first - 2)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def remove(self, number: int) -> bool:
        """Take one id out; whether it was in."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0 or number > self._lasts[at]:
            return False
        first, last = self._firsts[at], self._lasts[at]
        kept = [(a, b) for a, b in ((first, number - 1), (number + 1, last)) if a <= b]
        self._firsts[at : at + 1] = [a for a, _ in kept]
        self._lasts[at : at + 1] = [b for _, b in kept]
        return True

    def bounds(self) -> Span:
        """The lowest and the highest id in it.

        Raises:
            IndexError: it is empty.
        """
        return self._firsts[0], self._lasts[-1]

    def outside(self, first: int, last: int) -> list[Span]:
        """The runs of the ids `first` to `last` that are not in it."""
        runs = []
        for low, high in self:
            if low <= last and high >= first:
                if first < low:
                    runs.append((first, low - 1))
                first = high + 1
        return [*runs, (first, last)] if first <= last else runs

    def cut_above(self, number: int) -> None:
        """Take out all ids above `number`."""
        at = bisect_right(self._firsts, number)
        del self._firsts[at:], self._lasts[at:]
        if self._lasts and self._lasts[-1] > number:
            self._lasts[-1] = number


@dataclass
class Gap:
    """A run of trade ids that did not arrive. `since` is a time of a trade shortly before it, where known."""

    exchange: str
    pair: str
    first: int
    last: int
    seen_at: float
    missing: Spans
    since: datetime | None = None
    label: GapLabel = GapLabel.LOST_BY_US
    status: GapStatus = GapStatus.TENTATIVE
    attempts: int = 0
    detected_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    healed_at: datetime | None = None
    grown: bool = False

    def results(self) -> list[tuple[Span, GapLabel, GapStatus]]:
        """How the gap ends, run by run: found again (healed), or missing at the source too (explained)."""
        runs: list[tuple[Span, GapLabel, GapStatus]] = []
        following = self.first
        for first, last in self.missing:
            if first > following:
                runs.append(((following, first - 1), GapLabel.LOST_BY_US, GapStatus.HEALED))
            runs.append(((first, last), GapLabel.SOURCE_MISSING, GapStatus.EXPLAINED))
            following = last + 1
        if following <= self.last:
            runs.append(((following, self.last), GapLabel.LOST_BY_US, GapStatus.HEALED))
        return runs


class Continuity:
    """The trade ids of one pair.

    Invariant: every id from `floor` up to but without `following` was accepted, or is missing in exactly one gap of
    `gaps`, or was given up on (`finish`).
    """

    def __init__(self, exchange: str, pair: str) -> None:
        self.exchange = exchange
        self.pair = pair
        self.floor: int | None = None
        self.following = 0
        self.gaps: list[Gap] = []
        self.newest_time: datetime | None = None
        self.duplicates = 0
        self._adopted = Spans()

    def accept(self, trade_id: int, time: datetime, now: float) -> bool:
        """Take note of a trade that arrived; False: a duplicate. A jump opens a tentative gap."""
        if self.floor is not None and trade_id == self.following:
            self.following = trade_id + 1
            self.newest_time = time
            return True
        if self.floor is None:
            self.floor = trade_id
        elif trade_id > self.following:
            self._open(self.following, trade_id - 1, now)
        elif trade_id < self.floor:
            if trade_id + 1 < self.floor:
                self._open(trade_id + 1, self.floor - 1, now, time)
            self.floor = trade_id
            return True
        elif self.fill(trade_id):
            return True
        else:
            self.duplicates += 1
            return False
        self.following = trade_id + 1
        self.newest_time = time
        return True

    def expect(self, trade_id: int, now: float) -> bool:
        """The exchange has a trade of this id: whatever we lack up to it is missing. Whether that is new."""
        if self.floor is None or trade_id < self.following:
            return False
        self._open(self.following, trade_id, now)
        self.following = trade_id + 1
        return True

    def lose(self, trade_id: int, time: datetime) -> None:
        """An accepted trade will not reach the broker after all."""
        for gap in self.gaps:
            if gap.first <= trade_id <= gap.last:
                gap.missing.add(trade_id, trade_id)
                return
        for gap in self.gaps:
            if gap.status in {GapStatus.TENTATIVE, GapStatus.OPEN} and gap.last + 1 == trade_id:
                gap.last = trade_id
                gap.missing.add(trade_id, trade_id)
                gap.grown = gap.status is GapStatus.OPEN
                return
        run = Spans((trade_id, trade_id))  # whatever an earlier life knew: this loss is new
        self.gaps.append(Gap(self.exchange, self.pair, trade_id, trade_id, float("-inf"), run, time))

    def restore(self, position: int, time: datetime) -> None:
        """Everything up to `position` was stored in an earlier life (but for known gaps): go on from there."""
        if self.floor is None:
            self.following = position + 1
            self.newest_time = time
        elif position + 1 < self.floor:
            self._open(position + 1, self.floor - 1, float("-inf"), time)
        self.floor = 0

    def adopt(self, first: int, last: int, detected_at: datetime, attempts: int) -> Gap | None:
        """Take over a gap that an earlier life left unhealed; None where this life knows of it already."""
        if any(gap.first <= last and first <= gap.last for gap in self.gaps):
            return None
        gap = Gap(
            self.exchange,
            self.pair,
            first,
            last,
            float("-inf"),
            Spans((first, last)),
            status=GapStatus.OPEN,
            attempts=attempts,
            detected_at=detected_at,
        )
        self.gaps.append(gap)
        self._adopted.add(first, last)
        return gap

    def declare(self, now: float, window_s: float) -> list[Gap]:
        """The gaps that reordering did not fill within `window_s`: open from now on. Filled ones are forgotten."""
        declared = []
        for gap in self.gaps:
            if gap.status is GapStatus.TENTATIVE and gap.missing and now - gap.seen_at >= window_s:
                spans = list(gap.missing)
                gap.first, gap.last = spans[0][0], spans[-1][1]
                gap.status = GapStatus.OPEN
                declared.append(gap)
        self.gaps = [gap for gap in self.gaps if gap.missing or gap.status is not GapStatus.TENTATIVE]
        return declared

    def grown(self) -> list[Gap]:
        """The declared gaps that became longer since the last call."""
        longer = [gap for gap in self.gaps if gap.grown]
        for gap in longer:
            gap.grown = False
        return longer

    def finish(self, gap: Gap) -> None:
        """A gap is closed: what is still missing in it is missing for ever."""
        self.gaps.remove(gap)

    def forget_above(self, newest: int) -> None:
        """The exchange's newest trade is `newest`: an id beyond it was nonsense, and so is the gap up to it."""
        if self.floor is None or newest + 1 >= self.following:
            return
        self.following = max(newest + 1, self.floor)
        self._adopted.cut_above(newest)
        for gap in self.gaps:
            gap.missing.cut_above(newest)
            gap.last = max(gap.first, min(gap.last, newest))
            if newest < gap.first:
                gap.missing.add(gap.first, gap.first)  # a gap has at least one id, and this one will never be found

    def position(self) -> tuple[int, datetime] | None:
        """The highest id up to which everything was accepted or is in a declared gap, and a time not after it."""
        if self.floor is None or self.newest_time is None:
            return None
        tentative = [gap for gap in self.gaps if gap.status is GapStatus.TENTATIVE]
        if not tentative:
            return self.following - 1, self.newest_time
        lowest = min(tentative, key=lambda gap: gap.first)
        return lowest.first - 1, lowest.since or self.newest_time

    def _open(self, first: int, last: int, now: float, since: datetime | None = None) -> None:
        # In order by construction: a jump opens above all others; the rest is rare. What an earlier life knew to be
        # missing is filled, or being filled, as a gap of its own.
        since = since or self.newest_time
        for run in self._adopted.outside(first, last):
            self.gaps.append(Gap(self.exchange, self.pair, *run, now, Spans(run), since))

    def fill(self, trade_id: int) -> bool:
        """Take note of a trade that some gap misses; False: none does."""
        return any(gap.first <= trade_id <= gap.last and gap.missing.remove(trade_id) for gap in self.gaps)
