"""Candles made anew from the stored trades, for a range of time.

range -> refused where candles have no trades left -> hour after hour, pair after pair: refresh_candles, commit

What a REST interface said (`source = 'rest'`) stays, as does a candle of more trades than are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

STEP: Final = timedelta(hours=1)
"""One transaction holds the lock of a pair's candles for this much of it: live trades wait for milliseconds only."""


class TradesRemovedError(ValueError):
    """There are candles in the range whose trades are no longer stored: they cannot be made anew."""


@dataclass(frozen=True)
class Step:
    """One committed transaction: the candles it changed, by timeframe."""

    pair: str
    since: datetime
    until: datetime
    changed: dict[str, int] = field(default_factory=dict)


def rebuild(
    connection: Connection[Any], exchange: str, pairs: Sequence[str], since: datetime, until: datetime
) -> Iterator[Step]:
    """Make the candles of the minutes from `since` to `until` anew; each step is committed when it is yielded.

    The connection must be in autocommit mode. Raises:
        TradesRemovedError: nothing was changed.
    """
    asked = {"exchange": exchange, "pairs": list(pairs), "since": since, "until": until}
    bare = connection.execute(query("candles_without_trades"), asked).fetchall()
    if bare:
        told = "; ".join(
            f"{pair}: {count} minutes, the first {first:%Y-%m-%d %H:%M} UTC" for pair, count, first in bare
        )
        raise TradesRemovedError(f"the trades of these candles are no longer stored: {told}")
    for pair in pairs:
        start = since
        while start < until:
            end = min(until, _next(start))
            bounds = {"exchange": exchange, "pair": pair, "since": start, "until": end}
            changed = connection.execute(query("rebuild_candles"), bounds).fetchall()
            yield Step(pair, start, end, dict(changed))
            start = end


def _next(instant: datetime) -> datetime:
    """The next full step after `instant`."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((instant - midnight) // STEP + 1) * STEP
