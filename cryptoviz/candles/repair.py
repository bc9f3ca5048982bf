"""Repairs stored candles that an older version made: longer ones with wrong prices, and closed ones not known whole.

    candle_repairs --day after day--> trade_coverage, candles (hot and cold), position | what was found

A day of a pair is done in pieces, each committed with what it came to, and then the position moves on: whoever is
killed goes on there. What is right already is not written, so that a second look finds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.candles.settle import settle_day, update_coverage
from cryptoviz.pairs import Timeframe
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_DAY: Final = Timeframe.D1.length
REPAIRED: Final = ("corrected", "closed", "reopened", "made")
"""What a day may come to: prices or sums corrected, found to be known whole, or not, or a longer candle that lacked."""


@dataclass(frozen=True)
class Repaired:
    """One finished day of a pair: how many candles were `corrected`, `closed`, `reopened`, `made`."""

    exchange: str
    pair: str
    day: datetime
    found: Counter[str]


def waiting(connection: Connection[Any]) -> list[tuple[str, str]]:
    """The pairs whose candles are still to be looked over."""
    return [(exchange, pair) for exchange, pair, *_range in connection.execute(query("candle_repairs_due"))]


def begin_again(connection: Connection[Any]) -> None:
    """Have every candle that was made here looked over, whatever was looked over before."""
    connection.execute(query("candle_repairs_again"))


def repair(connection: Connection[Any]) -> Iterator[Repaired]:
    """Repair the days that wait, the oldest day of each pair first; each is committed when it is yielded.

    The connection must be in autocommit mode.
    """
    for exchange, pair, position, until in connection.execute(query("candle_repairs_due")).fetchall():
        day = position
        while day < until:
            parameters = {"exchange": exchange, "pair": pair, "since": day, "until": until}
            row = connection.execute(query("candle_repairs_next"), parameters).fetchone()
            day = row[0] if row and row[0] is not None else until
            found: Counter[str] = Counter()
            advance = partial(_advance, connection, exchange, pair)
            if day < until:
                update_coverage(connection, exchange, pair, day, day + _DAY)
                found = settle_day(connection, exchange, pair, day, reopen=True, within=partial(advance, day))
            day = min(day + _DAY, until)
            advance(day, Counter())
            yield Repaired(exchange, pair, day, found)


def _advance(
    connection: Connection[Any], exchange: str, pair: str, position: datetime, found: Mapping[str, int]
) -> None:
    counts = {name: found.get(name, 0) for name in REPAIRED}
    named = {"exchange": exchange, "pair": pair, "position": position}
    connection.execute(query("candle_repairs_advance"), {**named, **counts})
