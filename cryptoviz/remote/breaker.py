"""The circuit breaker of a source: after failures in a row it is left alone for a while, then one attempt decides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pybreaker


def always_counts(_error: BaseException) -> bool:
    """Every error is a failure of the source."""
    return True


class Breaker(pybreaker.CircuitBreaker):
    """Opens after `failures` in a row, for `rest_s` seconds. Where its state is kept is up to `storage`: in memory, or
    in a table that every run shares. `counts` says which errors are failures of the source.
    """

    def __init__(
        self,
        failures: int,
        rest_s: float,
        *,
        counts: Callable[[BaseException], bool] = always_counts,
        storage: pybreaker.CircuitBreakerStorage | None = None,
    ) -> None:
        super().__init__(
            fail_max=failures,
            reset_timeout=rest_s,
            exclude=[lambda error: not counts(error)],
            state_storage=storage,
            throw_new_error_on_trip=False,
        )

    def record(self, error: BaseException | None) -> None:
        """Count an answer (None) or a failure that came without `call`, as from a request that is awaited."""
        # An answer to what was asked before the circuit opened does not close it.
        with suppress(pybreaker.CircuitBreakerError, *([type(error)] if error is not None else [])):
            self.call(_outcome, error)

    def open_for(self) -> float:
        """Seconds until the next attempt may be made."""
        until = open_until(self.current_state, self._state_storage.opened_at, self.reset_timeout)
        return 0.0 if until is None else max(0.0, (until - datetime.now(UTC)).total_seconds())


def open_until(state: str, opened_at: datetime | None, rest_s: float) -> datetime | None:
    """When a breaker in this state lets the next attempt through; None: it is not open."""
    if state != pybreaker.STATE_OPEN or opened_at is None:
        return None
    return opened_at + timedelta(seconds=rest_s)


def _outcome(error: BaseException | None) -> None:
    if error is not None:
        raise error
