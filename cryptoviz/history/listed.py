"""Candles that an exchange lists from a time on: pages, and which of them are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptoviz.history.bars import floor
from cryptoviz.history.source import Page
from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle

SETTLED: Final = timedelta(minutes=5)
"""So long after its end a candle is closed even if the exchange lists none after it, whatever our clock says."""


def closed(rows: Sequence[Candle], now: datetime) -> Sequence[Candle]:
    """The closed ones of rows in their order: a candle is closed once a later one is listed."""
    return rows if not rows or rows[-1].window_end + SETTLED <= now else rows[:-1]


def pages(
    ask: Callable[[datetime], tuple[Sequence[Candle], bool]],
    timeframe: Timeframe,
    since: datetime,
    until: datetime,
    now: Callable[[], datetime],
) -> Iterator[Page]:
    """The pages of a range. `ask` gives the rows from a time on and whether there may be more after them.

    What it gives must reach beyond `until` by a row where it can: that row proves that the one before is closed, and
    that there is nothing else before it.
    """
    at = since
    while at < until:
        found, more = ask(at)
        rows = closed(found, now())
        reached = at
        if found:
            reached = found[-1].window_end if len(rows) == len(found) else found[-1].window_start
        if not more:
            reached = max(reached, min(floor(now() - SETTLED, timeframe), until))
        reached = min(reached, until)
        yield Page([row for row in rows if at <= row.window_start < until], reached)
        if not more or reached <= at:
            return
        at = reached
