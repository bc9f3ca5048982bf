"""Dagster's resources in a test. The platform's own `Database` serves most of them: `use_settings` says where it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from assets.resources import Database, ExchangeRest
from tests.integration.simulated_history import SimulatedHistory

HISTORY: list[SimulatedHistory] = []
"""What `SimulatedRest` answers from, the last one: Dagster copies resources, so they cannot hold it themselves."""


class NoDatabase(Database):
    """Hands out no connection, for code whose queries are replaced."""

    @contextmanager
    def reader(self) -> Iterator[Any]:
        yield None

    @contextmanager
    def writer(self) -> Iterator[Any]:
        yield None


class DatabaseAway(Database):
    """A database that refuses every connection with `reason`."""

    reason: str = "connection refused"

    @contextmanager
    def reader(self) -> Iterator[Any]:
        raise psycopg.OperationalError(self.reason)
        yield

    @contextmanager
    def writer(self) -> Iterator[Any]:
        raise psycopg.OperationalError(self.reason)
        yield


class SimulatedRest(ExchangeRest):
    """Exchanges without HTTP."""

    @contextmanager
    def history(self, database: Database) -> Iterator[Any]:
        yield HISTORY[-1]
