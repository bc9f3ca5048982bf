"""How long to wait before the next attempt: the one backoff of the house, for whatever is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tenacity import RetryCallState
from tenacity.wait import wait_base

from cryptoviz.remote.errors import RemoteError

_SPREAD: Final = 0.4
"""The part of a wait that is left to chance; below a half, so that each wait is longer than the one before it."""

_MOST_DOUBLINGS: Final = 64


@dataclass(frozen=True)
class Backoff(wait_base):
    """Waits that double from `first_s` up to `longest_s`, each shortened by chance so that many do not return at once.

    It is a wait of tenacity's, too; there what a source asks for by Retry-After is the least.
    """

    first_s: float
    longest_s: float

    def bound(self, attempt: int) -> float:
        """The longest wait after this many failed attempts (from 1)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(max(attempt, 1) - 1, _MOST_DOUBLINGS))

    def seconds(self, attempt: int) -> float:
        """The wait after this many failed attempts (from 1), with its part of chance."""
        return self.bound(attempt) * random.uniform(1 - _SPREAD, 1)  # noqa: S311 - spreads load, guards nothing

    def __call__(self, retry_state: RetryCallState) -> float:
        """The wait that tenacity asks for."""
        error = retry_state.outcome.exception() if retry_state.outcome is not None else None
        wanted = error.retry_after or 0.0 if isinstance(error, RemoteError) else 0.0
        return max(wanted, self.seconds(retry_state.attempt_number))
