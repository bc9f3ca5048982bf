"""What a simulator has sent, counted exactly, so that a test can compare it with what was stored."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_MOST_REQUESTS: Final = 20_000


class IdRanges:
    """A set of ids kept as ranges: cheap for ids that mostly come in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.count = 0

    def add(self, number: int) -> bool:
        """Add an id; False when it was there already."""
        at = bisect_right(self._starts, number) - 1
        if at >= 0 and number <= self._ends[at]:
            return False
        self.count += 1
        joins_left = at >= 0 and self._ends[at] == number - 1
        joins_right = at + 1 < len(self._starts) and self._starts[at + 1] == number + 1
        if joins_left and joins_right:
            self._ends[at] = self._ends.pop(at + 1)
            del self._starts[at + 1]
        elif joins_left:
            self._ends[at] = number
        elif joins_right:
            self._starts[at + 1] = number
        else:
            self._starts.insert(at + 1, number)
            self._ends.insert(at + 1, number)
        return True

    @property
    def first(self) -> int | None:
        """The smallest id."""
        return self._starts[0] if self._starts else None

    @property
    def last(self) -> int | None:
        """The largest id."""
        return self._ends[-1] if self._ends else None

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ids as ranges, both ends included."""
        return list(zip(self._starts, self._ends, strict=True))


@dataclass
class PairCounters:
    """Counts of one pair since the simulator started or the counters were reset."""

    sent: IdRanges = field(default_factory=IdRanges)
    duplicates: int = 0
    skipped: int = 0
    reordered: int = 0
    malformed: int = 0
    tickers: int = 0
    candles: int = 0
    rest_trades: int = 0
    last_ticker: int = 0
    generated_before: int = 0

    def trade(self, trade_id: int) -> None:
        """A trade was sent on a socket."""
        if not self.sent.add(trade_id):
            self.duplicates += 1

    def ticker(self, timestamp: int) -> None:
        """A ticker was sent; the same timestamp on several sockets counts once (timestamps of a pair never fall)."""
        if timestamp > self.last_ticker:
            self.last_ticker = timestamp
            self.tickers += 1

    def report(self, generated: int) -> dict[str, object]:
        """The counts as JSON; `generated` is the number of trades before now."""
        return {
            "generated": generated - self.generated_before,
            "sent": self.sent.count,
            "first_id": self.sent.first,
            "last_id": self.sent.last,
            "never_sent": [
                [left[1] + 1, right[0] - 1] for left, right in zip(self.sent.ranges, self.sent.ranges[1:], strict=False)
            ],
            "duplicates": self.duplicates,
            "skipped": self.skipped,
            "reordered": self.reordered,
            "malformed": self.malformed,
            "tickers": self.tickers,
            "candles": self.candles,
            "rest_trades": self.rest_trades,
        }


class RequestLog:
    """The REST requests of one exchange, equal ones counted: how many were answered, how many were not.

    Beyond twenty thousand different ones the oldest are forgotten.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, tuple[tuple[str, str], ...]], Counter[bool]] = {}
        self.answered = 0
        self.refused = 0

    def add(self, endpoint: str, query: Mapping[str, str], *, answered: bool) -> None:
        """One request has ended."""
        key = (endpoint, tuple(sorted(query.items())))
        if key not in self._counts and len(self._counts) >= _MOST_REQUESTS:
            del self._counts[next(iter(self._counts))]
        self._counts.setdefault(key, Counter())[answered] += 1
        self.answered += answered
        self.refused += not answered

    def report(self) -> list[dict[str, object]]:
        """One element for each different request, in the order in which each was made first."""
        return [
            {"endpoint": endpoint, "query": dict(query), "answered": counts[True], "refused": counts[False]}
            for (endpoint, query), counts in self._counts.items()
        ]
