"""The exchanges' past over REST: closed candles page by page, and trades by their ids.

    pages -> kraken | binance | other -> Rest.ask -> shared budget -> ccxt -> checked, exact rows
                                             |--- capped jittered retries; refusals and bans close it to all

Requests are ccxt's, raw where its unified ones lose digits or counts. An `ExchangeHistory` belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from cryptoviz import instruments
from cryptoviz.collectors.rest import RestError, TemporaryError
from cryptoviz.history.budget import PATIENCE_S, Allowance, ClosedError, SharedBudget
from cryptoviz.history.gaps import Series
from cryptoviz.history.heal import Clock, now
from cryptoviz.history.source import Answer, Impossible, Page, Span, TradesAnswer
from cryptoviz.instruments import ExchangeRefusedError, ExchangeUnavailableError
from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle, Trade
from cryptoviz.settings import Mode
from cryptoviz.spellings import unconfirmed

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

Given = TypeVar("Given")

_ATTEMPTS: Final = 6
_LONGEST_WAIT_S: Final = 30.0
_USED_WEIGHT: Final = "x-mbx-used-weight-1m"
_MOST_BYTES: Final = 32 * 1024 * 1024


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
        with instruments.asking(self.exchange, self.market):
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


class Source(Protocol):
    """What one exchange gives of its past."""

    def pages(self, series: Series, since: datetime, until: datetime) -> Iterator[Page]: ...

    def first_candle(self, series: Series) -> datetime | None: ...

    def trade_pages(
        self, pair: str, first_id: int, last_id: int, since: datetime, until: datetime
    ) -> Iterator[Sequence[Trade]]: ...


class ExchangeHistory:
    """A `PagedHistory`: every exchange of ccxt. A context manager that holds a connection and open sockets.

    `connect` gives connections in autocommit mode for the budget that all processes share. The demo never leaves
    loopback: there an exchange without a simulator is refused.
    """

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], AbstractContextManager[Connection[Any]]],
        *,
        patience_s: float = PATIENCE_S,
        clock: Clock = now,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._patience_s = patience_s
        self._clock = clock
        self._open = ExitStack()
        self._connection: Connection[Any] | None = None
        self._sources: dict[str, Source] = {}
        self._confirmed: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        self._connection = self._open.enter_context(self._connect())
        return self

    def __exit__(self, *_error: object) -> None:
        self._sources.clear()
        self._open.close()

    def pages(self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime) -> Iterator[Page]:
        """See `PagedHistory`."""
        if since >= until:
            return
        yield from self._source(exchange, pair).pages(Series(exchange, pair, timeframe), since, until)

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        """See `CandleHistory`. Of an answer that breaks off the part is given that came."""
        rows: list[Candle] = []
        silent: list[Span] = []
        impossible: list[Impossible] = []
        reached = since
        try:
            for page in self.pages(exchange, pair, timeframe, since, until):
                rows += page.rows
                silent += page.silent
                impossible += page.impossible
                reached = page.until
        except ExchangeUnavailableError:
            if reached == since:
                raise
        return Answer(rows, reached >= until, silent, impossible)

    def first_candle(self, exchange: str, pair: str, timeframe: Timeframe) -> datetime | None:
        """See `PagedHistory`."""
        return self._source(exchange, pair).first_candle(Series(exchange, pair, timeframe))

    def trades(
        self, exchange: str, pair: str, first_id: int, last_id: int, *, since: datetime, until: datetime
    ) -> TradesAnswer:
        """See `TradeHistory`. Of an answer that breaks off the part is given that came."""
        rows: list[Trade] = []
        try:
            for page in self._source(exchange, pair).trade_pages(pair, first_id, last_id, since, until):
                rows += page
        except ExchangeUnavailableError:
            if not rows:
                raise
            return TradesAnswer(rows, complete=False)
        return TradesAnswer(rows, complete=True)

    def _source(self, exchange: str, pair: str) -> Source:
        self._confirm(exchange, pair)
        source = self._sources.get(exchange)
        if source is None:
            source = self._sources[exchange] = self._made(exchange)
        return source

    def _confirm(self, exchange: str, pair: str) -> None:
        """Raise ExchangeRefusedError where the exchange does not list the pair under the name it is asked for by."""
        if self._connection is None:
            raise RuntimeError("an ExchangeHistory is used within its context")
        if (exchange, pair) in self._confirmed:
            return
        listed = instruments.listed_as(self._connection, exchange)
        if refused := unconfirmed(exchange, [pair], listed):
            raise ExchangeRefusedError(refused[pair])
        if any(listed.values()):
            self._confirmed.add((exchange, pair))

    def _made(self, exchange: str) -> Source:
        from cryptoviz.history.binance import Binance  # noqa: PLC0415 - they build on this module
        from cryptoviz.history.kraken import Kraken  # noqa: PLC0415
        from cryptoviz.history.other import Other  # noqa: PLC0415

        if self._connection is None:
            raise RuntimeError("an ExchangeHistory is used within its context")
        address = instruments.source_address(exchange, self._settings)
        if address is None and self._settings.mode is Mode.DEMO:
            raise ExchangeRefusedError(f"{exchange} has no simulator, and the demo never leaves loopback")
        market: Any = instruments.connect(exchange, address, self._settings.rest_timeout_s)
        self._open.callback(market.session.close)
        allowance = Allowance.of(exchange, self._settings)
        rest = Rest(exchange, market, SharedBudget(self._connection, exchange, allowance, patience_s=self._patience_s))
        match exchange:
            case "kraken":
                return Kraken(rest, self._clock)
            case "binance":
                return Binance(rest, self._clock)
            case _:
                return Other(rest, self._clock)
