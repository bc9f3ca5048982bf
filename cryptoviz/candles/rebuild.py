"""Candles made anew from the stored trades, for a range of time.

range -> refused where candles have no trades left -> pair after pair, some minutes at a time: refresh_candles, commit

What a REST interface said (`source = 'rest'`) stays, as does a candle of more trades than are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_TRADES: Final = 200
"""So many trades are looked at for each minute that a piece may take: a busy market's pieces are of fewer minutes."""


class TradesRemovedError(ValueError):
    """There are candles in the range whose trades are no longer stored: they cannot be made anew."""


@dataclass(frozen=True)
class RebuildStep:
    """One committed transaction: the candles it changed, by timeframe."""

    pair: str
    since: datetime
    until: datetime
    changed: dict[str, int] = field(default_factory=dict)


def rebuild(
    connection: Connection[Any], exchange: str, pairs: Sequence[str], since: datetime, until: datetime
) -> Iterator[RebuildStep]:
    """Make the candles of the minutes from `since` to `until` anew; each step is committed when it is yielded.

    The connection must be in autocommit mode. Raises:
        TradesRemovedError: nothing was changed.
    """
    parameters = {"exchange": exchange, "pairs": list(pairs), "since": since, "until": until}
    bare = connection.execute(query("candles_without_trades"), parameters).fetchall()
    if bare:
        lost = "; ".join(
            f"{pair}: {count} minutes, the first {first:%Y-%m-%d %H:%M} UTC" for pair, count, first in bare
        )
        raise TradesRemovedError(f"the trades of these candles are no longer stored: {lost}")
    for pair in pairs:
        yield from rebuild_pair(connection, exchange, pair, since, until)


def rebuild_pair(
    connection: Connection[Any], exchange: str, pair: str, since: datetime, until: datetime
) -> Iterator[RebuildStep]:
    """Make the candles of one pair anew wherever there are trades, whatever is stored of them; each step is committed.

    The connection must be in autocommit mode.
    """
    pace = Pace(rows=30, least=1, most=720)
    while since < until:
        bounds = {"exchange": exchange, "pair": pair, "since": since, "until": until}
        connection.execute(query("rebuild_recall"), bounds)
        with piece(connection, pace):
            most = {"minutes": pace.rows, "trades": pace.rows * _TRADES}
            [(_, upto, _), *rows] = connection.execute(query("rebuild_candles"), {**bounds, **most}).fetchall()
        if upto is None:
            return
        yield RebuildStep(pair, since, min(upto, until), {timeframe: count for timeframe, _, count in rows})
        since = upto
