"""An exchange through ccxt: asked within its budget, and again where that may help; what it raises, in our words.

    Rest.ask -> budget -> ccxt -> body of the answer -> read
       |--- capped jittered retries; refusals and bans close the budget to all

Requests are ccxt's, raw where its unified ones lose digits or counts. ccxt takes seconds to import: only who asks an
exchange pays.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from cryptoviz.remote.errors import ClosedError, ExchangeLimitedError, ExchangeRefusedError, ExchangeUnavailableError
from cryptoviz.remote.rest import RestError, TemporaryError
from cryptoviz.remote.retry_after import retry_after

Given = TypeVar("Given")

_ATTEMPTS: Final = 6
_LONGEST_WAIT_S: Final = 30.0
_USED_WEIGHT: Final = "x-mbx-used-weight-1m"
_MOST_BYTES: Final = 32 * 1024 * 1024


class Market(Protocol):
    """The part of a ccxt exchange that is used here."""

    precisionMode: int  # noqa: N815 - ccxt's name
    last_response_headers: Any

    def fetch_markets(self) -> list[dict[str, Any]]: ...


def connect(exchange: str, addresses: Mapping[str, str] | None, timeout_s: float) -> Market:
    """ccxt's exchange of this name: spot only, exact decimals, at these addresses, by ccxt's
    names of them (None: at its own).

    Raises:
        ExchangeRefusedError: unknown to ccxt.
    """
    ccxt = importlib.import_module("ccxt")  # takes seconds to import: only who asks an exchange pays
    if exchange not in ccxt.exchanges:
        raise ExchangeRefusedError(f"{exchange} is not an exchange of ccxt; see ccxt.exchanges for the names")
    market = getattr(ccxt, exchange)({"timeout": round(timeout_s * 1000), "number": exact})
    kinds = market.options.get("fetchMarkets")
    if isinstance(kinds, dict) and "types" in kinds:
        kinds["types"] = ["spot"]
    elif isinstance(kinds, list):
        market.options["fetchMarkets"] = ["spot"]
    if addresses is not None:
        market.urls["api"] = {**market.urls["api"], **addresses}
    checked: Market = market
    return checked


def exact(value: object) -> Decimal:
    """A number of ccxt as it was written (its default is float)."""
    return Decimal(str(value))


@contextmanager
def asking(exchange: str, market: Market) -> Iterator[None]:
    """What ccxt raises within the block, in our words.

    Raises:
        ExchangeUnavailableError: no answer, a limit, maintenance: try again later.
        ExchangeRefusedError: an answer that trying again will not change.
    """
    import ccxt  # noqa: PLC0415 - takes seconds to import: only who asks an exchange pays

    market.last_response_headers = None
    try:
        yield
    except (ccxt.DDoSProtection, ccxt.RateLimitExceeded) as error:
        raise ExchangeLimitedError(_said(exchange, error), _retry_after(market.last_response_headers)) from error
    except ccxt.OperationFailed as error:
        raise ExchangeUnavailableError(_said(exchange, error), _retry_after(market.last_response_headers)) from error
    except ccxt.BaseError as error:
        raise ExchangeRefusedError(_said(exchange, error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # ccxt walks into answers it did not expect without checking them.
        raise ExchangeRefusedError(f"{exchange} sent an answer that ccxt cannot read: {error!r}") from error


class Budget(Protocol):
    """When one may ask; see `SharedBudget`."""

    def turn(self, weight: float) -> None: ...

    def failed(self, error: ExchangeUnavailableError) -> float: ...

    def answered(self, used: float | None = None) -> None: ...


class Rest:
    """One exchange through ccxt, asked within its budget and again where that may help."""

    def __init__(self, exchange: str, market: Any, budget: Budget, attempts: int = _ATTEMPTS) -> None:
        self.exchange = exchange
        self.market = market
        self._budget = budget
        self._attempts = attempts
        # The budget is shared; ccxt's own is not.
        market.enableRateLimit = False

    def ask(self, request: Callable[[], object], read: Callable[[bytes], Given], *, weight: float = 1) -> Given:
        """What `read` makes of the body of the answer to `request`, a call of ccxt.

        Raises:
            ExchangeUnavailableError: no usable answer after all retries, or the exchange is left alone for long.
            ExchangeRefusedError: asking again will not help.
        """

        def body() -> Given:
            request()
            text = self.market.last_http_response or ""
            if len(text) > _MOST_BYTES:
                raise ExchangeRefusedError(f"{self.exchange}: answer of {len(text)} characters")
            return read(text.encode())

        return self.call(body, weight=weight)

    def call(self, request: Callable[[], Given], *, weight: float = 1) -> Given:
        """What `request` returns; raises as `ask`."""
        retrying = Retrying(
            retry=retry_if_exception(_worth_another), stop=stop_after_attempt(self._attempts), wait=_wait, reraise=True
        )
        given: Given = retrying(self._once, request, weight)
        return given

    def _once(self, request: Callable[[], Given], weight: float) -> Given:
        self._budget.turn(weight)
        try:
            given = self._asked(request)
        except ExchangeUnavailableError as error:
            if self._budget.failed(error):
                raise _WaitedForError(str(error), error.retry_after) from error
            raise
        headers = self.market.last_response_headers or {}
        self._budget.answered(_number(headers.get(_USED_WEIGHT)))
        return given

    def _asked(self, request: Callable[[], Given]) -> Given:
        with asking(self.exchange, self.market):
            try:
                return request()
            except (TemporaryError, msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ExchangeUnavailableError(f"{self.exchange}: {error}") from error
            except RestError as error:
                raise ExchangeRefusedError(f"{self.exchange}: {error}") from error


class _WaitedForError(ExchangeUnavailableError):
    """The budget is closed: whoever asks again waits there."""


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, ExchangeUnavailableError) and not isinstance(error, ClosedError)


_backoff: Final = wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT_S)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return 0.0 if isinstance(error, _WaitedForError) else float(_backoff(state))


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    value = next((value for name, value in (headers or {}).items() if name.lower() == "retry-after"), None)
    return retry_after(value, datetime.now(UTC))


def _said(exchange: str, error: Exception) -> str:
    return f"{exchange}: {type(error).__name__}: {str(error)[:500]}"
