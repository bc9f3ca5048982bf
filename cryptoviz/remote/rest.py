"""REST of one exchange: one shared rate budget, capped jittered retries, a circuit breaker.

get -> budget (waits; closed after Retry-After or repeated failure) -> httpx -> check -> answer, or RestError
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from cryptoviz.logs import logger
from cryptoviz.remote.retry_after import retry_after

Answer = TypeVar("Answer")

_ATTEMPTS: Final = 6
_LONGEST_WAIT_S: Final = 30.0
_MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_BREAKER_FAILURES: Final = 8
_BREAKER_S: Final = 15.0
_RETRIED_STATUS: Final = frozenset({403, 408, 418, 425, 429})

_log = logger(__name__)


class RestError(Exception):
    """The exchange gave no usable answer, after all retries where those make sense."""


class TemporaryError(RestError):
    """An answer that may be better later; `retry_after_s` is what the exchange asked for, 0 when it did not."""

    def __init__(self, reason: str, retry_after_s: float = 0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Budget:
    """Spaces requests evenly: `per_s` weight units a second, bursts of `burst`; shared by all who ask one exchange."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._free_at = clock() - burst / per_s
        self._closed_until = 0.0

    def reserve(self, weight: float) -> float:
        """Take `weight` and return how many seconds to wait before using it."""
        now = self._clock()
        start = max(self._free_at, now - self._burst / self._per_s)
        self._free_at = start + weight / self._per_s
        return max(0.0, self._free_at - now, self._closed_until - now)

    def close(self, seconds: float) -> None:
        """Let nobody ask for this long."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    @property
    def closed_for(self) -> float:
        """Seconds until asking is allowed again."""
        return max(0.0, self._closed_until - self._clock())


class RestClient:
    """The public REST interface of one exchange."""

    def __init__(
        self,
        base: str,
        *,
        per_s: float,
        burst: float,
        timeout_s: float,
        attempts: int = _ATTEMPTS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.requests = 0
        self.failures = 0
        self.budget = Budget(per_s, burst)
        self._attempts = attempts
        self._failed_in_a_row = 0
        self._client = httpx.AsyncClient(base_url=base, timeout=timeout_s, transport=transport, follow_redirects=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int],
        check: Callable[[int, bytes], Answer],
        *,
        weight: float = 1,
    ) -> Answer:
        """The checked answer to a GET.

        `check` gets status and body; it raises `TemporaryError` for what may be better later and anything else for
        what will not.

        Raises:
            RestError: no usable answer.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TemporaryError),
            stop=stop_after_attempt(self._attempts),
            wait=_wait,
            reraise=True,
        )
        return await retrying(self._once, path, params, check, weight)

    async def _once(
        self, path: str, params: Mapping[str, str | int], check: Callable[[int, bytes], Answer], weight: float
    ) -> Answer:
        await self._turn(weight)
        try:
            answer = await self._ask(path, params, check)
        except TemporaryError as error:
            self._failed(path, error)
            raise
        self._failed_in_a_row = 0
        return answer

    async def _turn(self, weight: float) -> None:
        wait = self.budget.reserve(weight)
        while wait > 0:
            await asyncio.sleep(wait)
            wait = self.budget.closed_for

    async def _ask(self, path: str, params: Mapping[str, str | int], check: Callable[[int, bytes], Answer]) -> Answer:
        self.requests += 1
        try:
            response = await self._client.get(path, params=dict(params))
        except httpx.HTTPError as error:
            raise TemporaryError(f"{path}: {type(error).__name__}") from error
        if response.status_code in _RETRIED_STATUS or response.status_code >= 500:
            after = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            raise TemporaryError(f"{path}: status {response.status_code}", after or 0)
        if len(response.content) > _MAX_ANSWER_BYTES:
            raise RestError(f"{path}: answer of {len(response.content)} bytes")
        return check(response.status_code, response.content)

    def _failed(self, path: str, error: TemporaryError) -> None:
        self.failures += 1
        self._failed_in_a_row += 1
        if error.retry_after_s:
            self.budget.close(error.retry_after_s)
        elif self._failed_in_a_row >= _BREAKER_FAILURES:
            self.budget.close(_BREAKER_S)
        _log.warning("rest_failed", path=path, error=str(error), retry_after_s=error.retry_after_s)


_backoff = wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT_S)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    # What the exchange asked for is waited for in the shared budget, by everybody.
    return 0.0 if isinstance(error, TemporaryError) and error.retry_after_s else float(_backoff(state))
