"""The windows that some rows of a file come to, piece by piece, however long nobody traded between two of them.

rows of a chunk --between them, where the archive leaves them out: windows without trades--> pieces, each committed
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any, Final

from cryptoviz.exchanges.history import Span
from cryptoviz.imports.chunks import Chunk, Position

AT_ONCE: Final = 20_000
"""So many windows are judged and committed together: two weeks of minutes, some 20 MB."""


@dataclass(frozen=True, slots=True)
class FileCandle:
    """One candle as a file has it. `number`: of its row, or of the first of its trades; `made`: the file lacks it.

    `held`: rows of it are in quarantine, so that nobody knows it yet.
    """

    number: int
    start: datetime
    open: str
    high: str
    low: str
    close: str
    volume: str
    trade_count: int
    made: bool = False
    held: bool = False

    @property
    def price_after(self) -> str | None:
        """Where the price stood at its end; None: it is held, or no candle can be like that."""
        if self.held:
            return None
        opening, high, low, close, _volume = self.figures
        return self.close if 0 < low <= min(opening, close) and max(opening, close) <= high else None

    @property
    def figures(self) -> tuple[Decimal, ...]:
        """The figures in which two candles of one window may differ."""
        return tuple(Decimal(number) for number in (self.open, self.high, self.low, self.close, self.volume))


LastClose = tuple[datetime, str]
"""The newest window that was read, and its close."""


@dataclass(frozen=True)
class Reach:
    """Which minutes a row at fault may belong to: its own, or where it is not `placed` those beside it."""

    row: int
    since: datetime
    until: datetime
    placed: bool


@dataclass(frozen=True)
class Piece:
    """Windows that are committed together, and where to go on in the file behind them; `first`: of their chunk."""

    rows: Sequence[FileCandle]
    since: Position
    until: Position
    share: float
    first: bool

    @property
    def count(self) -> int:
        """Rows of the file that are done with it."""
        return self.until.rows - self.since.rows

    def span(self, length: timedelta) -> Span | None:
        """The time of its windows."""
        if not self.rows:
            return None
        return min(row.start for row in self.rows), max(row.start for row in self.rows) + length

    def within(self, faults: Mapping[int, Any]) -> dict[int, Any]:
        """The part of `faults` whose rows are done with this piece."""
        return {row: fault for row, fault in faults.items() if self.since.rows < row <= self.until.rows}


def filled(
    rows: Iterable[FileCandle], last: LastClose | None, length: timedelta, faults: Iterable[int]
) -> Iterator[FileCandle]:
    """The rows, and between them the windows without trades, with the price carried on.

    Not where the price is not known, and not where a row in between is at fault: it may be of any of these windows.
    """
    number, doubtful = 0, sorted(faults)
    for row in rows:
        if last is not None and bisect_right(doubtful, row.number) == bisect_right(doubtful, number):
            start, price = last
            for at in windows(start + length, row.start, length):
                yield FileCandle(row.number, at, price, price, price, price, "0", 0, made=True)
        yield row
        close = row.price_after
        last, number = None if close is None else (row.start, close), row.number


def windows(since: datetime, until: datetime, length: timedelta) -> Iterator[datetime]:
    """Where the windows start between two instants."""
    while since < until:
        yield since
        since += length


def with_held(rows: Sequence[FileCandle], reaches: Sequence[Reach]) -> list[FileCandle]:
    """The minutes of some trades, those marked of which a trade is at fault; also where that was the only one."""
    first: dict[datetime, int] = {}
    for reach in reaches:
        for minute in (reach.since, reach.until):
            first[minute] = min(first.get(minute, reach.row), reach.row)
    found = [
        replace(row, held=True, number=min(row.number, first.pop(row.start))) if row.start in first else row
        for row in rows
    ]
    alone = [FileCandle(number, minute, "0", "0", "0", "0", "0", 0, held=True) for minute, number in first.items()]
    return sorted([*found, *alone], key=lambda row: row.start)


def quiet_after(rows: Sequence[FileCandle], unplaced: Iterable[int]) -> dict[datetime, datetime]:
    """Until when nobody traded after each minute, as far as that is certain."""
    doubtful = sorted(unplaced)
    return {
        row.start: following.start
        for row, following in pairwise(rows)
        if bisect_right(doubtful, row.number) == bisect_right(doubtful, following.number)
    }


def pieces(
    chunk: Chunk, windows: Iterable[FileCandle], began: float, end: datetime | None, *, ordered: bool
) -> Iterator[Piece]:
    """The windows of a chunk in pieces that are committed together; at least one piece.

    Where the rows of the file are not `ordered` by time, no place in it parts what is done from what is not: one piece.

    `began`: the share of the file that was read before the chunk; `end`: its last window. Whoever stops in the middle
    of a silence goes on with the row after it, and knows from the newest window that is stored how much of it is done.
    """
    left, since, first = iter(windows), chunk.since, True
    some = [*islice(left, AT_ONCE if ordered else None)]
    start = some[0].start if some else end
    while (following := next(left, None)) is not None:
        until = chunk.before(following.number)
        done = (following.start - start) / (end - start) if start and end and start < end else 0.0
        yield Piece(some, since, until, began + (chunk.share - began) * min(1.0, max(0.0, done)), first)
        some, since, first = [following, *islice(left, AT_ONCE - 1)], until, False
    yield Piece(some, since, chunk.until, chunk.share, first)
