"""What assets and sensors may reach: the database, the broker and the exchanges' REST interfaces.

Resources hold no address and no secret (Dagster shows their fields to everybody): they read the settings when used.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from cryptoviz import instruments
from cryptoviz.settings import Mode, Role, settings

if TYPE_CHECKING:
    from psycopg import Connection


class Database(dg.ConfigurableResource[Any]):
    """The platform's database."""

    @contextmanager
    def writer(self) -> Iterator[Connection[Any]]:
        """A connection that may write facts; closed at the end of the block."""
        from cryptoviz.storage.database import connect  # noqa: PLC0415 - only who connects loads the driver

        with connect(Role.WRITER, settings(), autocommit=True, application_name="dagster") as connection:
            yield connection

    @contextmanager
    def reader(self) -> Iterator[Connection[Any]]:
        """A connection that may read; closed at the end of the block."""
        from cryptoviz.storage.database import connect  # noqa: PLC0415 - only who connects loads the driver

        with connect(Role.READER, settings(), autocommit=True, application_name="dagster") as connection:
            yield connection


class Broker(dg.ConfigurableResource[Any]):
    """The message broker."""

    timeout_s: float = 5

    def offsets(self, topics: Iterable[str]) -> dict[str, dict[int, range]]:
        """Topic -> partition -> offsets held; topics that do not exist are left out.

        Raises:
            BusError: the broker cannot be reached.
        """
        from cryptoviz import bus  # noqa: PLC0415 - only who asks loads the client

        return bus.offsets(settings(), topics, timeout_s=self.timeout_s)


class ExchangeRest(dg.ConfigurableResource[Any]):
    """The exchanges' REST interfaces through ccxt."""

    first_delay_s: float = 5
    longest_delay_s: float = 120

    def instruments(self, exchange: str) -> instruments.Listing:
        """The spot pairs that an exchange lists now.

        Raises:
            ExchangeUnavailableError: try again later.
            ExchangeRefusedError: trying again will not help.
        """
        address = instruments.source_address(exchange, settings())
        if address is None and settings().mode is Mode.DEMO:
            raise instruments.ExchangeRefusedError(f"{exchange} has no simulator, and the demo never leaves loopback")
        return instruments.fetch(exchange, address, settings().rest_timeout_s)

    def delay_before(self, attempt: int) -> float:
        """Seconds to wait before retry number `attempt` (from 1): growing, capped, jittered."""
        longest = min(self.longest_delay_s, self.first_delay_s * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
