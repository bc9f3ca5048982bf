"""A run that fetches history: what it works with, and what it did for a series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.clock import Clock, now
from cryptoviz.exchanges.history import PagedHistory
from cryptoviz.gate.report import GateReport
from cryptoviz.pairs import Series
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

CANDLE_FINAL_AFTER: Final = timedelta(seconds=5)
"""An exchange may change a candle for so long after its window has ended."""

PUBLISHED_AT_ONCE: Final = 43_200
"""So many candles are judged together: a month of minutes."""

LOCK_PATIENCE: Final = timedelta(seconds=20)
"""How long to wait for a killed run's lock: PostgreSQL frees it when that run's last statement ends."""


class SeriesBusyError(Exception):
    """Another run is at work on the history of the series."""


@dataclass
class Fetched:
    """What was done for one series: how far it got, and why not further (empty: it got to the end)."""

    series: Series
    since: datetime | None = None
    until: datetime | None = None
    pages: int = 0
    rows: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    reports: list[GateReport] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False
    reason: str = ""

    @property
    def blocked(self) -> bool:
        """Whether a batch went to quarantine as a whole."""
        return any(report.blocked for report in self.reports)


@dataclass(frozen=True)
class FetchRun:
    """Who fetches: with which connection, settings and history, as which run, until when, by which clock."""

    connection: Connection[Any]
    settings: Settings
    history: PagedHistory
    run: str
    until: datetime | None = None
    clock: Clock = now
    at_once: int = PUBLISHED_AT_ONCE

    @property
    def out_of_time(self) -> bool:
        """Whether the rest is to be left to the next run."""
        return self.until is not None and self.clock() >= self.until


@contextmanager
def claimed(connection: Connection[Any], series: Series) -> Iterator[None]:
    """Keep the history of a series for this connection, until the end of the block or of the connection.

    Raises:
        SeriesBusyError: another connection keeps it.
    """
    try:
        with connection.transaction():
            connection.execute(query("lock_timeout"), {"timeout": f"{LOCK_PATIENCE.total_seconds():.0f}s"})
            connection.execute(query("backfill_lock"), series.columns)
    except driver.LockNotAvailable as error:
        raise SeriesBusyError(f"another run is at work on {series}") from error
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(query("backfill_unlock"), series.columns)
