"""Dagster's resources in a test: the database of the test and exchanges without HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from assets.resources import Database, ExchangeRest
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from tests.integration.simulated_history import SimulatedHistory

SETTINGS: list[Settings] = []
"""The last one says where the database is."""

HISTORY: list[SimulatedHistory] = []
"""The last one is asked."""


class OneDatabase(Database):
    """The database of one test."""

    @contextmanager
    def reader(self) -> Iterator[Any]:
        with connect(Role.READER, SETTINGS[-1], autocommit=True) as connection:
            yield connection

    @contextmanager
    def writer(self) -> Iterator[Any]:
        with connect(Role.WRITER, SETTINGS[-1], autocommit=True) as connection:
            yield connection


class SimulatedRest(ExchangeRest):
    """Exchanges without HTTP."""

    @contextmanager
    def history(self, database: Database) -> Iterator[Any]:
        yield HISTORY[-1]
