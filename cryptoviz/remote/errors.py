"""What goes wrong when somebody outside is asked: for now, or for good."""

from __future__ import annotations


class ExchangeUnavailableError(Exception):
    """The exchange does not answer, or not now; worth another try, after `retry_after` seconds where it said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ExchangeLimitedError(ExchangeUnavailableError):
    """It was asked too often, or has banned who asks."""


class ExchangeRefusedError(Exception):
    """The exchange answered, and asking again will not help; the message says what it said."""


class ClosedError(ExchangeUnavailableError):
    """The exchange is left alone for longer than one would wait; it was not asked."""
