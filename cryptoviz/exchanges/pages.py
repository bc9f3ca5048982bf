"""Candles that an exchange lists from a time on: pages, which of them are closed, and where there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptoviz.exchanges.candles import page_of
from cryptoviz.exchanges.history import Page, Row, Span
from cryptoviz.pairs import Timeframe, floor
from cryptoviz.records import Candle

CLOSED_AFTER: Final = timedelta(minutes=5)
"""So long after its end a candle is closed even if the exchange lists none after it, whatever our clock says."""


def closed(rows: Sequence[Row], now: datetime) -> Sequence[Row]:
    """The closed ones of rows in their order: a candle is closed once a later one is listed."""
    return rows if not rows or rows[-1].window_end + CLOSED_AFTER <= now else rows[:-1]


def decisive(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that show how far an answer reaches: its candles, or all rows where none is a candle."""
    return [row for row in rows if isinstance(row, Candle)] or rows


def left_out(rows: Sequence[Row], since: datetime, until: datetime, length: timedelta) -> list[Span]:
    """Where an answer about a range has no row, for an exchange that leaves windows without trades out."""
    bounds = [since, *(bound for row in rows for bound in (row.window_start, row.window_start + length)), until]
    return [(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]


def pages(
    ask: Callable[[datetime], tuple[Sequence[Row], bool]],
    timeframe: Timeframe,
    since: datetime,
    until: datetime,
    now: Callable[[], datetime],
    *,
    step: timedelta | None = None,
) -> Iterator[Page]:
    """The pages of a range. `ask` returns the rows from an instant on, and whether there may be more after them.

    `step` is the length of time that an answer without rows covers; None: without rows there is nothing more.

    The rows should include the first one after `until`, where it exists: it proves that the one before is closed and
    that none is missing between them.
    """
    at = since
    while at < until:
        found, more = ask(at)
        reached = at
        if rows := decisive(found):
            whole = len(closed(rows, now())) == len(rows)
            reached = floor(rows[-1].window_end if whole else rows[-1].window_start, timeframe)
        elif step is not None:
            reached, more = at + step, at + step < until
        if not more:
            reached = max(reached, min(floor(now() - CLOSED_AFTER, timeframe), until))
        reached = min(reached, until)
        yield page_of([row for row in found if at <= row.window_start < reached], reached)
        if not more or reached <= at:
            return
        at = reached
