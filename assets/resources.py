"""What assets and sensors may reach: the database, the broker and the exchanges' REST interfaces.

Resources hold no address and no secret (Dagster shows their fields to everybody): they read the settings when used.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from cryptoviz import bus, instruments
from cryptoviz.remote.backoff import Backoff
from cryptoviz.settings import Mode, Role, settings
from cryptoviz.storage.database import connect

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.backfill.exchange_history import ExchangeHistory
    from cryptoviz.bus import Bus


class Database(dg.ConfigurableResource[Any]):
    """The platform's database."""

    @contextmanager
    def writer(self) -> Iterator[Connection[Any]]:
        """A connection that may write facts; closed at the end of the block."""
        with connect(Role.WRITER, settings(), autocommit=True, application_name="dagster") as connection:
            yield connection

    @contextmanager
    def reader(self) -> Iterator[Connection[Any]]:
        """A connection that may read; closed at the end of the block."""
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
        return bus.offsets(settings(), topics, timeout_s=self.timeout_s)

    @contextmanager
    def producer(self) -> Iterator[Bus]:
        """A producer that connects in the background; closed at the end of the block."""
        producer = bus.Producer(settings())
        producer.start()
        try:
            yield producer
        finally:
            producer.close()


class Sources(dg.ConfigurableResource[Any]):
    """What the sources themselves say of what they sent: the simulators count, real exchanges do not."""

    timeout_s: float = 5

    def sent(self) -> dict[tuple[str, str], int]:
        """(exchange, pair) -> id of the last trade it sent.

        Empty where the sources do not count, or do not answer: whether they are silent is asked elsewhere.
        """
        if settings().mode is not Mode.DEMO:
            return {}
        url = f"http://{settings().simulator_host}:{settings().simulator_port}/control/counters"
        try:
            with urllib.request.urlopen(url, timeout=self.timeout_s) as answer:
                counted = json.load(answer)
        except OSError:
            return {}
        return {
            (exchange, pair): counted["last_id"]
            for exchange, pairs in counted.items()
            for pair, counted in pairs.items()
            if counted["last_id"] is not None
        }


class ExchangeRest(dg.ConfigurableResource[Any]):
    """The exchanges' REST interfaces through ccxt."""

    first_delay_s: float = 5
    longest_delay_s: float = 120

    def instruments(self, exchange: str) -> instruments.Listing:
        """The spot pairs that an exchange lists now.

        Raises:
            TransientError: try again later.
            PermanentError: trying again will not help.
        """
        address = instruments.permitted_address(exchange, settings())
        return instruments.fetch(exchange, address, settings().rest_timeout_s)

    @contextmanager
    def history(self, database: Database) -> Iterator[ExchangeHistory]:
        """The exchanges' past, for one thread; all runs share one budget per exchange, kept in this database."""
        from cryptoviz.backfill.exchange_history import ExchangeHistory  # noqa: PLC0415 - only who asks loads what asks

        with ExchangeHistory(settings(), database.writer) as history:
            yield history

    def delay_before(self, attempt: int) -> float:
        """Seconds to wait before retry number `attempt` (from 1): growing, capped, jittered."""
        return Backoff(self.first_delay_s, self.longest_delay_s).seconds(attempt)


RESOURCES: Final = {
    "broker": Broker(),
    "database": Database(),
    "exchange_rest": ExchangeRest(),
    "sources": Sources(),
}
"""What assets and sensors ask for by these names."""
