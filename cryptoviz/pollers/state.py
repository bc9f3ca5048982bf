"""The state of each source, kept in tables and shared by all runs: circuit breaker, pause, quotas, memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pybreaker

from cryptoviz.settings.quotas import Period, Quotas
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class SourceState:
    """The row of a source in `source_states`. `memory` is what its poller stored for the next poll."""

    breaker: str
    failures: int
    successes: int
    opened_at: datetime | None
    paused_until: datetime | None
    paused_because: str | None
    memory: Mapping[str, Any]
    asked_at: datetime | None


def load(connection: Connection[Any], source: str) -> SourceState:
    """The state of a source; it gets a row where it has none."""
    with connection.transaction():
        connection.execute(query("source_known"), {"source": source})
    return _read(connection, source)


def _read(connection: Connection[Any], source: str) -> SourceState:
    with connection.transaction(), connection.cursor(row_factory=driver.class_row(SourceState)) as cursor:
        found = cursor.execute(query("source_state"), {"source": source}).fetchone()
    if found is None:
        raise LookupError(f"source {source} has no row in source_states")
    return found


def record_poll(
    connection: Connection[Any],
    source: str,
    at: datetime,
    failure: str | None,
    pause: tuple[datetime, str] | None = None,
) -> None:
    """Store how a poll ended, and until when the source is to be left alone, and why."""
    until, because = pause if pause is not None else (None, None)
    parameters = {
        "source": source,
        "at": at,
        "failure": failure,
        "paused_until": until,
        "paused_because": because,
    }
    with connection.transaction():
        connection.execute(query("source_answered"), parameters)


def remember(connection: Connection[Any], source: str, memory: Mapping[str, Any]) -> None:
    """Store a poller's memory for its next poll, within the caller's transaction."""
    connection.execute(query("source_remember"), {"source": source, "memory": json.dumps(memory)})


class ExhaustedError(Exception):
    """A quota is used up: the whole of it, or the part that is due by now."""

    def __init__(self, period: Period, limit: int, now: datetime) -> None:
        allowed = period.allowed(limit, now)
        spread = f" ({allowed} of them by now)" if allowed < limit else ""
        super().__init__(f"the quota of {limit} requests a {period}{spread} is used up")
        self.period = period


def take_request(connection: Connection[Any], source: str, quotas: Quotas, now: datetime, cost: int = 1) -> None:
    """Take one request out of every quota, or none. `cost` is what it costs of a day's and a month's.

    Committed at once: a request that a killed run may have made counts.

    Raises:
        ExhaustedError: a quota is used up; the message says which.
    """
    periods = [period for period in Period if period in quotas]
    parameters = {
        "source": source,
        "period": [str(period) for period in periods],
        "starts_at": [period.begin(now) for period in periods],
        "cost": [1 if period is Period.MINUTE else cost for period in periods],
        "allowed": [period.allowed(quotas[period], now) for period in periods],
    }
    with connection.transaction():
        granted = {name for (name,) in connection.execute(query("source_quota_take"), parameters)}
        for period in periods:
            if period not in granted:
                raise ExhaustedError(period, quotas[period], now)


class BreakerStorage(pybreaker.CircuitBreakerStorage):
    """Keeps a circuit breaker's state in the source's row, for all processes. Each change is committed at once."""

    def __init__(self, connection: Connection[Any], source: str) -> None:
        super().__init__(source)
        self._connection = connection

    def _read(self) -> SourceState:
        return _read(self._connection, self.name)

    def _write(self, **changes: Any) -> None:
        unchanged = {"breaker": None, "opened_at": None, "failures": None, "successes": None}
        with self._connection.transaction():
            self._connection.execute(query("source_breaker"), {"source": self.name, **unchanged, **changes})

    def _count(self, *, failures: int = 0, successes: int = 0) -> None:
        parameters = {"source": self.name, "failures": failures, "successes": successes}
        with self._connection.transaction():
            self._connection.execute(query("source_count"), parameters)

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._read().breaker

    @state.setter
    def state(self, state: str) -> None:
        self._write(breaker=state)

    @property
    def counter(self) -> int:
        """Failures since the last success."""
        return self._read().failures

    def increment_counter(self) -> None:
        """Count a failure."""
        self._count(failures=1)

    def reset_counter(self) -> None:
        """Count failures from zero again."""
        self._write(failures=0)

    @property
    def success_counter(self) -> int:
        """Successes since the breaker became half-open."""
        return self._read().successes

    def increment_success_counter(self) -> None:
        """Count a success."""
        self._count(successes=1)

    def reset_success_counter(self) -> None:
        """Count successes from zero again."""
        self._write(successes=0)

    @property
    def opened_at(self) -> datetime | None:
        """When the breaker opened last."""
        return self._read().opened_at

    @opened_at.setter
    def opened_at(self, at: datetime) -> None:
        self._write(opened_at=at)
