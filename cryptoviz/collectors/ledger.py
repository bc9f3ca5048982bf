"""Gaps and positions in the database, written in the background; while it is away they are kept in memory.

    gap changed, position acknowledged -> Ledger -> trade_gaps, collector_position (one transaction)
    (re)start                          -> Ledger.load -> where to go on

A position is written in the same transaction as, or after, every gap below it: whatever dies, an id at or below a
stored position is at the broker or in a row of trade_gaps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import psycopg

from cryptoviz.collectors.gaps import Gap
from cryptoviz.exchanges import unconfirmed
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.instruments import listed_as
from cryptoviz.logs import logger
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

_RETRY_S: Final = 5.0

_log = logger(__name__)


@dataclass(frozen=True)
class GapRow:
    """A row of ``trade_gaps`` as it shall be."""

    pair: str
    first: int
    last: int
    label: GapLabel
    status: GapStatus
    attempts: int
    detected_at: datetime
    healed_at: datetime | None = None

    @classmethod
    def of(cls, gap: Gap) -> GapRow:
        """The row of a gap that is not settled yet."""
        return cls(gap.pair, gap.first, gap.last, gap.label, gap.status, gap.attempts, gap.detected_at, gap.healed_at)


@dataclass(frozen=True)
class Position:
    """Up to `trade_id` (made at `timestamp` or later) every trade of the pair is at the broker or in a gap row."""

    pair: str
    trade_id: int
    timestamp: datetime


class Store(Protocol):
    """Where gaps and positions are kept. All methods block and may fail with `StoreAwayError`."""

    def load(self) -> tuple[list[Position], list[GapRow]]:
        """The positions and the gaps not yet healed."""

    def save(self, gaps: list[GapRow], positions: list[Position]) -> None:
        """Write all of it, in one transaction."""

    def spellings(self) -> dict[str, str | None]:
        """How the exchange itself spells each pair that it lists; empty: not known yet."""


class StoreAwayError(Exception):
    """The database did not answer or refused."""


class DatabaseStore:
    """The real tables, as the writer role; connects anew after every failure."""

    def __init__(self, exchange: str, settings: Settings) -> None:
        self._exchange = exchange
        self._settings = settings
        self._connection: psycopg.Connection[Any] | None = None

    def load(self) -> tuple[list[Position], list[GapRow]]:
        """The positions and the gaps not yet healed."""
        try:
            with self._open() as connection, connection.transaction():
                positions = connection.execute(query("collector_positions"), {"exchange": self._exchange}).fetchall()
                gaps = connection.execute(query("trade_gaps_unhealed"), {"exchange": self._exchange}).fetchall()
        except psycopg.Error as error:
            raise self._away(error) from error
        return (
            [Position(*row) for row in positions],
            [
                GapRow(pair, first, last, GapLabel(label), GapStatus(status), attempts, detected_at)
                for pair, first, last, label, status, attempts, detected_at in gaps
            ],
        )

    def save(self, gaps: list[GapRow], positions: list[Position]) -> None:
        """Write all of it, in one transaction."""
        try:
            connection = self._held()
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(query("trade_gap_upsert"), [self._gap(row) for row in gaps])
                cursor.executemany(
                    query("collector_position_upsert"),
                    [
                        {
                            "exchange": self._exchange,
                            "pair": position.pair,
                            "trade_id": position.trade_id,
                            "timestamp": position.timestamp,
                        }
                        for position in positions
                    ],
                )
        except psycopg.Error as error:
            raise self._away(error) from error

    def spellings(self) -> dict[str, str | None]:
        """How the exchange itself spells each pair that it lists; empty: not known yet."""
        try:
            # On a connection of its own: what is written meanwhile goes over the held one, in another thread.
            with self._open() as connection:
                return listed_as(connection, self._exchange)
        except psycopg.Error as error:
            raise _away(error) from error

    def _gap(self, row: GapRow) -> dict[str, Any]:
        return {
            "exchange": self._exchange,
            "pair": row.pair,
            "first_missing_id": row.first,
            "last_missing_id": row.last,
            "label": row.label.value,
            "status": row.status.value,
            "attempts": row.attempts,
            "detected_at": row.detected_at,
            "healed_at": row.healed_at,
        }

    def _held(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
        return self._connection

    def _open(self) -> psycopg.Connection[Any]:
        return connect(Role.WRITER, self._settings, autocommit=True, application_name=f"collector_{self._exchange}")

    def _away(self, error: psycopg.Error) -> StoreAwayError:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return _away(error)


def _away(error: psycopg.Error) -> StoreAwayError:
    return StoreAwayError(f"{type(error).__name__}: {error.diag.message_primary or 'no answer'}")


class Ledger:
    """Collects what is to be written and writes it when the database is there."""

    def __init__(self, store: Store) -> None:
        self.loaded = False
        self.away = False
        self._store = store
        self._gaps: dict[tuple[str, int], GapRow] = {}
        self._positions: dict[str, Position] = {}

    @property
    def waiting(self) -> int:
        """Rows not yet written."""
        return len(self._gaps) + len(self._positions)

    def gap(self, row: GapRow) -> None:
        """A gap changed."""
        self._gaps[row.pair, row.first] = row

    def position(self, position: Position) -> None:
        """A position is acknowledged, and every gap below it was given to `gap` before."""
        self._positions[position.pair] = position

    async def load(self) -> tuple[list[Position], list[GapRow]] | None:
        """What an earlier life left; None while the database is away."""
        try:
            found = await asyncio.to_thread(self._store.load)
        except StoreAwayError as error:
            self._missed(error)
            return None
        self.loaded = True
        self.away = False
        return found

    async def refused(self, exchange: str, pairs: Sequence[str]) -> dict[str, str] | None:
        """Which pairs the exchange does not confirm to be what they are called, and why; None: the database is away."""
        try:
            listed_spellings = await asyncio.to_thread(self._store.spellings)
        except StoreAwayError as error:
            self._missed(error)
            return None
        return unconfirmed(exchange, pairs, listed_spellings)

    async def write(self) -> bool:
        """Write everything that waits; False: the database is away, all is kept."""
        if not self.loaded or not self.waiting:
            return self.loaded
        gaps, self._gaps = self._gaps, {}
        positions, self._positions = self._positions, {}
        try:
            await asyncio.to_thread(self._store.save, list(gaps.values()), list(positions.values()))
        except StoreAwayError as error:
            self._gaps = gaps | self._gaps
            self._positions = positions | self._positions
            self._missed(error)
            return False
        self.away = False
        return True

    def _missed(self, error: StoreAwayError) -> None:
        if not self.away:
            _log.warning("database_away", error=str(error))
        self.away = True
