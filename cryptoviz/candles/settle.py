"""Looks over stored candles once more: what became known since is closed, and longer candles follow.

    pair x range --> trade_coverage --timeframe after timeframe: does anything differ?--> candles, candle_differences

What is to be done is found without a lock, and done in pieces: the stream waits for one of them at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.pairs import Timeframe
from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_DAY: Final = Timeframe.D1.length
_KINDS: Final = ("corrected", "closed", "reopened", "made", "differing")
_PARTS: Final = {Timeframe.M1: 1, Timeframe.M5: 5, Timeframe.M15: 3, Timeframe.H1: 4, Timeframe.D1: 24}
"""How many candles of the next shorter timeframe a candle is made of."""
_TRADES: Final = 20_000
_FEWEST_TRADES: Final = 1_000
_MOST_TRADES: Final = 100_000


def settle(
    connection: Connection[Any],
    exchange: str,
    pair: str,
    since: datetime,
    until: datetime,
    *,
    reopen: bool = False,
) -> Counter[str]:
    """Settle the days that a range touches and that have candles shorter than a day.

    Returns how many candles were `corrected`, `closed`, `reopened` or `made`, and how many were found `differing`:
    longer ones of the exchange that are not what their parts come to, which was not known before. `reopen`: what is
    closed and not known whole is opened, too. The connection must be in autocommit mode.
    """
    update_coverage(connection, exchange, pair, since, until)
    named = {"exchange": exchange, "pair": pair}
    found: Counter[str] = Counter()
    pace = Pace()
    for (day,) in connection.execute(query("candle_days"), {**named, "since": since, "until": until}).fetchall():
        found += settle_day(connection, exchange, pair, day, reopen=reopen, pace=pace)
    return found


def settle_day(
    connection: Connection[Any],
    exchange: str,
    pair: str,
    day: datetime,
    *,
    reopen: bool = False,
    pace: Pace | None = None,
    within: Callable[[Counter[str]], None] = lambda _found: None,
) -> Counter[str]:
    """Settle the candles of the UTC day that begins at `day`, from what is known of its trades.

    `within` belongs to the transaction of each piece, and is given what the piece came to. The connection must be in
    autocommit mode.
    """
    pace, found, end = pace or Pace(), Counter[str](), day + _DAY
    for timeframe in Timeframe:
        named = {"exchange": exchange, "pair": pair, "timeframe": timeframe.value, "reopen": reopen}
        range_ = {"since": day, "until": end}
        left = [start for (start,) in connection.execute(query("candles_to_settle"), {**named, **range_})]
        while left:
            until = min(end, left[0] + max(1, pace.rows // _PARTS[timeframe]) * timeframe.length)
            with piece(connection, pace):
                [counts] = connection.execute(query("candles_settle"), {**named, "since": left[0], "until": until})
                changed = Counter(dict(zip(_KINDS, counts, strict=True)))
                within(changed)
            found += changed
            left = [start for start in left if start >= until]
    return found


def settle_open(connection: Connection[Any]) -> Counter[str]:
    """Settle every day with candles that have ended and are not closed, or with hours of which no day was made."""
    found: Counter[str] = Counter()
    for exchange, pair, day in connection.execute(query("candle_days_open")).fetchall():
        found += settle(connection, exchange, pair, day, day + _DAY)
    return found


def update_coverage(connection: Connection[Any], exchange: str, pair: str, since: datetime, until: datetime) -> None:
    """Bring `trade_coverage` in line with the trades of a range: the time of which all ids are stored."""
    at, pace = since, Pace(_TRADES, _FEWEST_TRADES, _MOST_TRADES)
    while at < until:
        parameters = {"exchange": exchange, "pair": pair, "since": at, "until": until, "trades": pace.rows}
        with piece(connection, pace, "lock_batch"):
            found = connection.execute(query("trade_coverage_settle"), parameters).fetchone()
        at = found[0] if found else until
