"""Batch work on candles in small committed pieces, so that the stream never waits for more than one of them.

    piece --lock_candles--> rows of the piece --commit--> how long it held the lock -> how many rows the next one takes

docs/decisions/0013-order-of-locks.md says which locks there are and in which order they are taken.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

HELD_S: Final = 0.05
"""A piece is to hold the lock for so long; on a machine that is busy it takes fewer rows, not longer."""

LEAST: Final = 60
MOST: Final = 2_880
_GROWTH: Final = 2.0


@dataclass
class Pace:
    """How many rows the next piece takes: never fewer than `least` nor more than `most`."""

    rows: int = 240
    least: int = LEAST
    most: int = MOST

    def took(self, seconds: float) -> None:
        """Adjust the number of rows to how long the last piece took."""
        wanted = self.rows * min(_GROWTH, HELD_S / max(seconds, 1e-6))
        self.rows = max(self.least, min(self.most, int(wanted)))


@contextmanager
def piece(connection: Connection[Any], pace: Pace, lock: str = "lock_candles") -> Iterator[None]:
    """A transaction that writes candles of the past. The connection must be in autocommit mode.

    Its time is told to the pace, from when it has the lock until it is committed. With `lock_batch` only other batch
    work waits at first: for pieces that write trades before they want the candles.
    """
    with connection.transaction():
        connection.execute(query(lock))
        began = time.monotonic()
        yield
    pace.took(time.monotonic() - began)
