"""The public REST interface of one exchange, as the collectors ask it.

get -> budget (waits; closed after Retry-After or repeated failure) -> httpx -> check -> answer | RemoteError
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import httpx
from tenacity import AsyncRetrying

from cryptoviz.logs import logger
from cryptoviz.remote.budget import ATTEMPTS, LocalBudget, retrying, waits
from cryptoviz.remote.errors import (
    Failure,
    PermanentError,
    TransientError,
    failure_of,
    failure_of_status,
    remote_error,
)
from cryptoviz.remote.retry_after import retry_after_of

Answer = TypeVar("Answer")

_MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024

_log = logger(__name__)


class RestClient:
    """Asks one exchange within a budget, and again where that may help."""

    def __init__(
        self,
        base: str,
        *,
        per_s: float,
        burst: float,
        timeout_s: float,
        attempts: int = ATTEMPTS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.requests = 0
        self.failures = 0
        self.budget = LocalBudget(per_s, burst)
        self._attempts = attempts
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

        `check` gets status and body; it raises `TransientError` for what may be better later and anything else for
        what will not.

        Raises:
            RemoteError: no usable answer, after all retries where those may help.
        """
        return await AsyncRetrying(**retrying(self.budget, self._attempts))(self._attempt, path, params, check, weight)

    async def _attempt(
        self, path: str, params: Mapping[str, str | int], check: Callable[[int, bytes], Answer], weight: float
    ) -> Answer:
        for wait in waits(self.budget, weight):
            await asyncio.sleep(wait)
        try:
            answer = await self._request(path, params, check)
        except TransientError as error:
            self.failures += 1
            self.budget.failed(error)
            _log.warning("rest_failed", path=path, error=str(error), retry_after_s=error.retry_after or 0)
            raise
        self.budget.answered()
        return answer

    async def _request(
        self, path: str, params: Mapping[str, str | int], check: Callable[[int, bytes], Answer]
    ) -> Answer:
        self.requests += 1
        try:
            response = await self._client.get(path, params=dict(params))
        except httpx.HTTPError as error:
            raise remote_error(failure_of(error), f"{path}: {type(error).__name__}") from error
        failure = failure_of_status(response.status_code, firewall=True)
        # Of what will not be better the exchange says more in the body.
        if failure in (Failure.TRANSIENT, Failure.LIMITED):
            raise remote_error(failure, f"{path}: status {response.status_code}", retry_after_of(response.headers))
        if len(response.content) > _MAX_ANSWER_BYTES:
            raise PermanentError(f"{path}: answer of {len(response.content)} bytes")
        return check(response.status_code, response.content)
