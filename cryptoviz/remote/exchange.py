"""An exchange through ccxt: asked within a budget, and again where that may help; ccxt's errors become ours.

    Rest.ask -> budget -> ccxt -> body of the answer -> read
       |--- retries; limits and bans close the budget to all

Requests are ccxt's, raw where its unified ones lose digits or counts. ccxt takes seconds to import: only who asks an
exchange pays.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

import msgspec
from tenacity import Retrying

from cryptoviz.remote.budget import ATTEMPTS, Budget, retrying, take_turn
from cryptoviz.remote.errors import PermanentError, RemoteError, TransientError, failure_of, remote_error
from cryptoviz.remote.retry_after import retry_after_of

Answer = TypeVar("Answer")

_MOST_BYTES: Final = 32 * 1024 * 1024


class Market(Protocol):
    """The part of a ccxt exchange that is used here."""

    precisionMode: int  # noqa: N815 - ccxt's name
    last_response_headers: Any

    def fetch_markets(self) -> list[dict[str, Any]]: ...


def connect(exchange: str, addresses: Mapping[str, str] | None, timeout_s: float) -> Market:
    """ccxt's exchange of this name: spot only, exact decimals.

    `addresses` are where it is asked, by ccxt's names of them; None: at ccxt's own.

    Raises:
        PermanentError: unknown to ccxt.
    """
    ccxt = importlib.import_module("ccxt")  # takes seconds to import: only who asks an exchange pays
    if exchange not in ccxt.exchanges:
        raise PermanentError(f"{exchange} is not an exchange of ccxt; see ccxt.exchanges for the names")
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
    """Turns what ccxt raises within the block into our errors.

    Raises:
        TransientError: no answer, a limit, maintenance: try again later.
        PermanentError: an answer that trying again will not change.
    """
    import ccxt  # noqa: PLC0415 - takes seconds to import: only who asks an exchange pays

    market.last_response_headers = None
    try:
        yield
    except ccxt.BaseError as error:
        message = f"{exchange}: {type(error).__name__}: {str(error)[:500]}"
        raise remote_error(failure_of(error), message, retry_after_of(market.last_response_headers)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # ccxt walks into answers it did not expect without checking them.
        raise PermanentError(f"{exchange} sent an answer that ccxt cannot read: {error!r}") from error


class Rest:
    """One exchange through ccxt, asked within its budget and again where that may help.

    `used_header`: where its answers say what was used of its limit in this minute, in lower case; empty: nowhere.
    """

    def __init__(
        self, exchange: str, market: Any, budget: Budget, attempts: int = ATTEMPTS, *, used_header: str = ""
    ) -> None:
        self.exchange = exchange
        self.market = market
        self._budget = budget
        self._attempts = attempts
        self._used_header = used_header
        # The budget is shared; ccxt's own is not.
        market.enableRateLimit = False

    def ask(self, request: Callable[[], object], read: Callable[[bytes], Answer], *, weight: float = 1) -> Answer:
        """What `read` makes of the body of the answer to `request`, a call of ccxt.

        Raises:
            TransientError: no usable answer after all retries, or nobody may ask the exchange for long.
            PermanentError: asking again will not help.
        """

        def body() -> Answer:
            request()
            text = self.market.last_http_response or ""
            if len(text) > _MOST_BYTES:
                raise PermanentError(f"{self.exchange}: answer of {len(text)} characters")
            try:
                return read(text.encode())
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise TransientError(f"{self.exchange}: {error}") from error
            except RemoteError as error:
                raise remote_error(error.failure, f"{self.exchange}: {error}", error.retry_after) from error

        return self.call(body, weight=weight)

    def call(self, request: Callable[[], Answer], *, weight: float = 1) -> Answer:
        """What `request` returns; raises as `ask`."""
        answer: Answer = Retrying(**retrying(self._budget, self._attempts))(self._attempt, request, weight)
        return answer

    def _attempt(self, request: Callable[[], Answer], weight: float) -> Answer:
        take_turn(self._budget, weight)
        try:
            with asking(self.exchange, self.market):
                answer = request()
        except TransientError as error:
            self._budget.failed(error)
            raise
        self._budget.answered(_number((self.market.last_response_headers or {}).get(self._used_header)))
        return answer


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
