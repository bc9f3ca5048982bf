"""How fast the batch layer may ask an exchange: one budget for all its runs and processes, a row of `rest_budgets`.

    reserve -> a place in the row -> wait for it -> closed meanwhile? then again
    failure -> closed to all: as long as the exchange asked for, or longer with each failure in a row

The clock is the database's, so processes on several machines agree. The collectors have budgets of their own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from cryptoviz.logs import logger
from cryptoviz.remote.errors import BudgetClosedError, Failure, TransientError
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

PATIENCE_S: Final = 150.0
"""Whoever would have to wait longer for an exchange comes back later: Binance's first ban lasts two minutes."""

_BURST: Final = timedelta(seconds=5)
_MINUTE_S: Final = 60.0
_NTH_FAILURE: Final = 8
_FIRST_PAUSE: Final = timedelta(seconds=15)
_LONGEST_PAUSE: Final = timedelta(minutes=5)

_log = logger(__name__)


@dataclass(frozen=True)
class Allowance:
    """What may be used of an exchange.

    `per_minute` counts weight. `used_at_most`: where the exchange says how much everybody at our address has used in
    this minute, from here on it is left alone until the next.
    """

    per_minute: float
    used_at_most: float | None = None

    @classmethod
    def of(cls, exchange: str, settings: Settings) -> Self:
        """What the settings allow."""
        return cls(settings.history_per_minute(exchange), settings.used_weight_at_most(exchange))


class SharedBudget:
    """The `Budget` of one exchange, through a connection in autocommit mode."""

    def __init__(
        self,
        connection: Connection[Any],
        exchange: str,
        allowance: Allowance,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._allowance = allowance
        self._patience = timedelta(seconds=patience_s)
        self._troubled = False

    def reserve(self, weight: float) -> float:
        """See `Budget`."""
        parameters = {
            "exchange": self._exchange,
            "cost": timedelta(seconds=weight * _MINUTE_S / self._allowance.per_minute),
            "burst": _BURST,
            "patience": self._patience,
        }
        place = self._connection.execute(query("rest_budget_reserve"), parameters).fetchone()
        if place is None:
            left, because = self._closed() or (self._patience.total_seconds(), "too many are waiting")
            raise BudgetClosedError(f"{self._exchange} is left alone: {because}", left)
        wait, failures = place
        self._troubled = failures > 0
        return float(wait)

    def closed_for(self) -> float:
        """See `Budget`."""
        closed = self._closed()
        return 0.0 if closed is None else closed[0]

    def _closed(self) -> tuple[float, str] | None:
        found = self._connection.execute(query("rest_budget_closed"), {"exchange": self._exchange}).fetchone()
        return None if found is None else (float(found[0]), found[1])

    def failed(self, error: TransientError) -> float:
        """See `Budget`."""
        parameters = {
            "exchange": self._exchange,
            "because": str(error)[:500],
            "retry_after": timedelta(seconds=error.retry_after) if error.retry_after else None,
            "nth": 1 if error.failure is Failure.LIMITED else _NTH_FAILURE,
            "first": _FIRST_PAUSE,
            "longest": _LONGEST_PAUSE,
        }
        found = self._connection.execute(query("rest_budget_failed"), parameters).fetchone()
        closed_for = float(found[0]) if found is not None else 0.0
        _log.warning("exchange_failed", exchange=self._exchange, reason=parameters["because"], closed_for_s=closed_for)
        return closed_for

    def answered(self, used: float | None = None) -> None:
        """See `Budget`."""
        if self._troubled:
            self._connection.execute(query("rest_budget_answered"), {"exchange": self._exchange})
            self._troubled = False
        most = self._allowance.used_at_most
        if used is None or most is None or used < most:
            return
        because = f"{used:.0f} of weight are used in this minute, by all at this address"
        pause = timedelta(seconds=_MINUTE_S - time.time() % _MINUTE_S)
        parameters = {"exchange": self._exchange, "because": because, "pause": pause}
        self._connection.execute(query("rest_budget_close"), parameters)
