"""How fast a source may be asked, and when not at all: the interface of every budget, and the one of a single process.

    waits -> a place in the budget -> wait for it -> closed meanwhile? then again -> request -> answered | failed

`cryptoviz.backfill.shared_budget` implements the same interface for many processes, in a table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from tenacity import retry_if_exception, stop_after_attempt

from cryptoviz.remote.backoff import Backoff
from cryptoviz.remote.breaker import Breaker
from cryptoviz.remote.errors import TransientError, worth_retrying

ATTEMPTS: Final = 6
_BACKOFF: Final = Backoff(first_s=0.5, longest_s=30)
_FAILURES: Final = 8
_REST_S: Final = 15.0


class Budget(Protocol):
    """What may be used of a source, shared by all who ask it."""

    def reserve(self, weight: float) -> float:
        """Take `weight` of the budget; the seconds to wait before using it.

        Raises:
            BudgetClosedError: that would take too long.
        """

    def closed_for(self) -> float:
        """Seconds for which nobody may ask the source, 0 where all may."""

    def failed(self, error: TransientError) -> float:
        """Note that there was no answer, and close the budget to all where that is due; seconds until it opens."""

    def answered(self, used: float | None = None) -> None:
        """Note that there was an answer; `used` is the weight of this minute by the source's own count."""


class LocalBudget:
    """A budget within one process: `per_s` of weight a second, evenly spaced, with bursts of `burst`.

    Closed for as long as the source asks by Retry-After, and by a circuit breaker after failures in a row that do not
    say when to come back.
    """

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._free_at = clock() - burst / per_s
        self._closed_until = 0.0
        self._breaker = Breaker(_FAILURES, _REST_S)

    def reserve(self, weight: float) -> float:
        """See `Budget`; it is never too long."""
        now = self._clock()
        start = max(self._free_at, now - self._burst / self._per_s)
        self._free_at = start + weight / self._per_s
        return max(0.0, self._free_at - now, self.closed_for())

    def closed_for(self) -> float:
        """See `Budget`."""
        return max(0.0, self._closed_until - self._clock(), self._breaker.open_for())

    def close(self, seconds: float) -> None:
        """Let nobody ask for this long."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def failed(self, error: TransientError) -> float:
        """See `Budget`."""
        if error.retry_after:
            self.close(error.retry_after)
        else:
            self._breaker.record(error)
        return self.closed_for()

    def answered(self, used: float | None = None) -> None:  # noqa: ARG002 - the collectors are told of no count
        """See `Budget`."""
        self._breaker.record(None)


def waits(budget: Budget, weight: float) -> Iterator[float]:
    """The waits, one after the other, after which a request of this weight may be made.

    Raises:
        BudgetClosedError: that would take too long.
    """
    while (wait := budget.reserve(weight)) > 0:
        yield wait
        if not budget.closed_for():
            return


def take_turn(budget: Budget, weight: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until a request of this weight may be made; raises as `waits`."""
    for wait in waits(budget, weight):
        sleep(wait)


def retrying(budget: Budget, attempts: int = ATTEMPTS) -> dict[str, Any]:
    """How a request within a budget is repeated, as arguments of tenacity's `Retrying` and `AsyncRetrying`.

    While the budget is closed the next attempt waits there, with everybody else.
    """
    return {
        "retry": retry_if_exception(worth_retrying),
        "stop": stop_after_attempt(attempts),
        "wait": lambda state: 0.0 if budget.closed_for() else _BACKOFF(state),
        "reraise": True,
    }
