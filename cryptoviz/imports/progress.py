"""How far the import of each file has come: a row of `import_progress`, moved on with the rows it counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptoviz.imports.chunks import Position
from cryptoviz.imports.files import File, ImportRefusedError
from cryptoviz.imports.layouts import Kind, Layout
from cryptoviz.pairs import Timeframe
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Target:
    """What a file is imported into: one pair of one exchange, for candles also their timeframe."""

    exchange: str
    pair: str
    timeframe: Timeframe | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.exchange, self.pair, self.timeframe)))


@dataclass(frozen=True)
class ImportState:
    """What is committed of a file. `candles`: from when to when trades are stored whose candles are not made yet."""

    completed: bool
    position: Position
    stored: int
    known: int
    quarantined: int
    first: datetime | None
    last: datetime | None
    candles: tuple[datetime, datetime] | None


class ImportProgress:
    """The row of one file and target."""

    def __init__(self, file: File, layout: Layout, target: Target) -> None:
        self._file, self._layout, self._target = file, layout, target
        self._key = {
            "fingerprint": file.fingerprint(),
            # Whoever finds out that they are single trades after all imports the same file once more.
            "kind": Kind.CANDLES.value if layout.aggregated else layout.kind.value,
            "exchange": target.exchange,
            "symbol": target.pair,
        }
        self._position, self._kept, self.quarantined = Position(), 0, 0

    def all_quarantined(self, connection: Connection[Any]) -> bool:
        """Whether every row that was ever read of it went to quarantine, so that nothing was stored or known, and some
        wait there still."""
        if not self.quarantined or self._kept or self.quarantined < self._position.rows:
            return False
        return connection.execute(query("import_undecided"), {"file": self._file.name}).fetchone() == (True,)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the file."""
        return self._key["fingerprint"]

    def begin(self, connection: Connection[Any]) -> ImportState:
        """Read how far the import is. Until the connection ends no other process imports this file.

        Raises:
            ImportRefusedError: another process imports it.
        """
        lock = "|".join(self._key.values())
        if connection.execute(query("import_lock"), {"key": lock}).fetchone() != (True,):
            raise ImportRefusedError(f"{self._file.name} is being imported by another process")
        values = {
            "file": self._file.name,
            "format": self._layout.format.value,
            "timeframe": self._target.timeframe or "",
        }
        return self._read(connection, "import_progress_begin", values)

    def _read(self, connection: Connection[Any], statement: str, values: dict[str, Any]) -> ImportState:
        row = connection.execute(query(statement), {**self._key, **values}).fetchone()
        assert row is not None  # noqa: S101 - an upsert that always returns its row
        status, size, rows, stored, known, quarantined, first, last, since, until = row
        candles = (since, until) if since is not None else None
        self._position, self._kept, self.quarantined = Position(size, rows), stored + known, quarantined
        return ImportState(status == "completed", self._position, stored, known, quarantined, first, last, candles)

    def advance(
        self,
        connection: Connection[Any],
        until: Position,
        *,
        stored: int,
        known: int,
        quarantined: int,
        span: tuple[datetime, datetime] | None,
        candles: bool,
    ) -> None:
        """Move the position on, within the transaction that stores what is before it.

        `span`: the times of what was stored. `candles`: those of that time are still to be made.
        """
        first, last = span or (None, None)
        values = {
            "bytes_read": until.bytes,
            "rows_read": until.rows,
            "stored": stored,
            "known": known,
            "quarantined": quarantined,
            "first_ts": first,
            "last_ts": last,
            "candles": candles and span is not None,
        }
        connection.execute(query("import_progress_advance"), {**self._key, **values})
        self._position = until
        self._kept += stored + known
        self.quarantined += quarantined

    def candles_due(self, connection: Connection[Any], span: tuple[datetime, datetime] | None) -> None:
        """Write down for which time there are trades without their candles."""
        since, until = span or (None, None)
        connection.execute(
            query("import_progress_candles"), {**self._key, "candles_from": since, "candles_until": until}
        )

    def finish(self, connection: Connection[Any], error: str | None = None) -> None:
        """Write down that everything is stored, or the error that prevents it."""
        values = {"status": "failed" if error else "completed", "error_message": error}
        connection.execute(query("import_progress_finish"), {**self._key, **values})
