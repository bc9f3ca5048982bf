"""Looks over stored candles once more: what became known since is closed, and longer candles follow.

    pair x range --hours--> trade_coverage --days--> candles, candle_differences

Each hour and each day is a transaction of its own: the stream waits for one of them at most.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.pairs import Timeframe
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_DAY: Final = Timeframe.D1.length
_KINDS: Final = ("corrected", "closed", "reopened", "made", "differing")


def settle(
    connection: Connection[Any],
    exchange: str,
    pair: str,
    since: datetime,
    until: datetime,
    *,
    reopen: bool = False,
) -> Counter[str]:
    """Look over the days that a range touches and that have candles shorter than a day.

    Returns how many candles were `corrected`, `closed`, `reopened` or `made`, and how many were found `differing`:
    longer ones of the exchange that are not what their parts come to, which was not known before. `reopen`: what is
    closed and not known whole is opened, too. The connection must be in autocommit mode.
    """
    cover(connection, exchange, pair, since, until)
    named = {"exchange": exchange, "pair": pair}
    found: Counter[str] = Counter()
    for (day,) in connection.execute(query("candle_days"), {**named, "since": since, "until": until}).fetchall():
        found += settle_day(connection, exchange, pair, day, reopen=reopen)
    return found


def settle_day(
    connection: Connection[Any], exchange: str, pair: str, day: datetime, *, reopen: bool = False
) -> Counter[str]:
    """Look over the candles of the UTC day that begins at `day`, with what is known of its trades."""
    asked = {"exchange": exchange, "pair": pair, "since": day, "until": day + _DAY, "reopen": reopen}
    found: Counter[str] = Counter()
    for _timeframe, *counts in connection.execute(query("candles_settle"), asked):
        found.update(dict(zip(_KINDS, counts, strict=True)))
    return found


def settle_open(connection: Connection[Any]) -> Counter[str]:
    """Look over every day that has candles which ended and are not closed."""
    found: Counter[str] = Counter()
    for exchange, pair, day in connection.execute(query("candle_days_open")).fetchall():
        found += settle(connection, exchange, pair, day, day + _DAY)
    return found


def cover(connection: Connection[Any], exchange: str, pair: str, since: datetime, until: datetime) -> None:
    """Look at the ids of the trades of a range: of which time are all of them stored."""
    at = since
    while at < until:
        asked = {"exchange": exchange, "pair": pair, "since": at, "until": until}
        found = connection.execute(query("trade_coverage_settle"), asked).fetchone()
        at = found[0] if found else until
