"""What goes wrong when a remote source is asked, and whether asking again may help: decided here for every source.

status of an answer --+
error of httpx, ccxt -+-> Failure: permanent | transient | limited -> an error that a retry, a budget and a
reason of a fetch ----+                                              circuit breaker understand
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Failure(StrEnum):
    """Whether asking again may help."""

    PERMANENT = "permanent"
    """The source answered, or can never be reached: the same request will fail again."""
    TRANSIENT = "transient"
    """No answer now; the same request may succeed later."""
    LIMITED = "limited"
    """Transient: the source was asked too often, or has banned our address for a while."""


class RemoteError(Exception):
    """A remote source gave no usable answer; for `retry_after` seconds, where it said so, it wants to be left alone."""

    failure: Failure = Failure.PERMANENT

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(RemoteError):
    """Asking again will not help; the message says what the source answered."""


class TransientError(RemoteError):
    """No answer, or none now: worth another attempt."""

    failure = Failure.TRANSIENT


class LimitedError(TransientError):
    """The source was asked too often, or has banned our address."""

    failure = Failure.LIMITED


class BudgetClosedError(TransientError):
    """Nobody may ask the source for longer than the caller would wait; no request was made."""


class Reason(StrEnum):
    """Why a fetch from the web gave no page."""

    BAD_ADDRESS = "bad_address"
    NOT_PERMITTED = "not_permitted"
    UNRESOLVED = "unresolved"
    PRIVATE_ADDRESS = "private_address"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    BAD_REDIRECT = "bad_redirect"
    REDIRECT_LOOP = "redirect_loop"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    PROTOCOL = "protocol"


_TRANSIENT_REASONS: Final = frozenset(
    {Reason.TIMEOUT, Reason.UNREACHABLE, Reason.UNRESOLVED, Reason.PROTOCOL, Reason.TLS}
)


class FetchError(RemoteError):
    """There is no page; `reason` says why in a word, the message in a sentence."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.failure = Failure.TRANSIENT if reason in _TRANSIENT_REASONS else Failure.PERMANENT


_STATUSES: Final[Mapping[int, Failure]] = {
    408: Failure.TRANSIENT,
    418: Failure.LIMITED,  # Binance's ban of an address
    425: Failure.TRANSIENT,
    429: Failure.LIMITED,
}
_FORBIDDEN: Final = 403

_CLASSES: Final[Mapping[str, Failure]] = {
    "ccxt.base.errors.DDoSProtection": Failure.LIMITED,
    "ccxt.base.errors.RateLimitExceeded": Failure.LIMITED,
    "ccxt.base.errors.OperationFailed": Failure.TRANSIENT,
    "httpx.UnsupportedProtocol": Failure.PERMANENT,
    "httpx.HTTPError": Failure.TRANSIENT,
}
"""By the name of the class, so that nobody has to load ccxt; of an error's classes the most special one counts."""


def failure_of_status(status: int, *, firewall: bool = False) -> Failure | None:
    """What a status says of the request; None below 400, where there is an answer.

    `firewall`: the source stands behind one that answers 403 to whoever asks too often, as the exchanges do; elsewhere
    403 is a refusal.
    """
    if status < 400:
        return None
    if status >= 500 or (firewall and status == _FORBIDDEN):
        return Failure.TRANSIENT
    return _STATUSES.get(status, Failure.PERMANENT)


def failure_of(error: BaseException) -> Failure:
    """What an error of ours, of httpx or of ccxt says of the request; permanent where nothing better is known."""
    if isinstance(error, RemoteError):
        return error.failure
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__)
    return next((_CLASSES[name] for name in names if name in _CLASSES), Failure.PERMANENT)


def remote_error(failure: Failure, message: str, retry_after: float | None = None) -> RemoteError:
    """The error that stands for a failure."""
    match failure:
        case Failure.PERMANENT:
            return PermanentError(message, retry_after)
        case Failure.TRANSIENT:
            return TransientError(message, retry_after)
        case Failure.LIMITED:
            return LimitedError(message, retry_after)


def worth_retrying(error: BaseException, patience_s: float = float("inf")) -> bool:
    """Whether another attempt may help within `patience_s` seconds: never where nobody may ask for longer."""
    if isinstance(error, BudgetClosedError) or not isinstance(error, RemoteError):
        return False
    return error.failure is not Failure.PERMANENT and (error.retry_after or 0) <= patience_s
