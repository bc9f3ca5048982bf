"""Keep the indicators in step with the candles. The database notes what is due and computes it; this sets it going.

candles -> indicator_changes -> newest windows of all series at once -> the other series one by one -> indicators
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class IndicatorProgress:
    """How far the indicators of a timeframe are."""

    timeframe: str
    series: int
    newest: datetime
    furthest_behind: datetime


@dataclass(frozen=True)
class Refreshed:
    """The result of a refresh: candles computed together, rows corrected series by series, series still waiting."""

    candles: int
    series: int
    rows: int
    waiting: int
    seconds: float


def refresh(connection: Connection[Any], patience_s: float, clock: Callable[[], float] = time.monotonic) -> Refreshed:
    """Compute what is due, until nothing is or patience is over. Each step is a transaction of its own.

    `connection` has autocommit on. Several may refresh at once: they take turns.
    """
    began = clock()
    candles = int(_value(connection, "refresh_newest_indicators"))
    written: list[int] = []
    while clock() - began < patience_s:
        row = connection.execute(query("refresh_next_indicators")).fetchone()
        if row is None:
            break
        written.append(row[3])
    waiting = int(_value(connection, "indicators_waiting"))
    return Refreshed(candles, len(written), sum(written), waiting, clock() - began)


def rebuild(connection: Connection[Any]) -> Iterator[tuple[Sequence[str], int]]:
    """Compute the whole history of every series anew; yields each with the number of rows that were wrong."""
    for exchange, symbol, timeframe in connection.execute(query("indicators_series")).fetchall():
        series = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        yield (exchange, symbol, timeframe), int(_value(connection, "rebuild_indicators", series))


def progress(connection: Connection[Any]) -> list[IndicatorProgress]:
    """How far the indicators are, timeframe by timeframe, from the shortest on."""
    return [IndicatorProgress(*row) for row in connection.execute(query("indicators_newest"))]


def _value(connection: Connection[Any], name: str, parameters: dict[str, str] | None = None) -> Any:
    row = connection.execute(query(name), parameters).fetchone()
    return row[0] if row is not None else None
