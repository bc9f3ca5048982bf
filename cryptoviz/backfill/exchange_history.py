"""The exchanges' past over REST: closed candles page by page, and trades by their ids.

    pages -> the exchange's adapter -> Rest.ask -> shared budget -> ccxt -> checked, exact rows
                                             |--- capped jittered retries; refusals and bans close it to all

Requests are ccxt's, raw where its unified ones lose digits or counts. An `ExchangeHistory` belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from cryptoviz import instruments
from cryptoviz.backfill.shared_budget import PATIENCE_S, Allowance, SharedBudget
from cryptoviz.clock import Clock, now
from cryptoviz.exchanges import EXCHANGES, unconfirmed
from cryptoviz.exchanges.generic import GenericHistory
from cryptoviz.exchanges.history import Answer, HistoryAdapter, Impossible, Page, Span, TradesAnswer
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, Trade
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.remote.exchange import Rest, connect

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings


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
        self._adapters: dict[str, HistoryAdapter] = {}
        self._confirmed: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        self._connection = self._open.enter_context(self._connect())
        return self

    def __exit__(self, *_error: object) -> None:
        self._adapters.clear()
        self._open.close()

    def pages(self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime) -> Iterator[Page]:
        """See `PagedHistory`."""
        if since >= until:
            return
        yield from self._adapter(exchange, pair).pages(Series(exchange, pair, timeframe), since, until)

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
        except TransientError:
            if reached == since:
                raise
        return Answer(rows, reached >= until, silent, impossible)

    def first_candle(self, exchange: str, pair: str, timeframe: Timeframe) -> datetime | None:
        """See `PagedHistory`."""
        return self._adapter(exchange, pair).first_candle(Series(exchange, pair, timeframe))

    def trades(
        self, exchange: str, pair: str, first_id: int, last_id: int, *, since: datetime, until: datetime
    ) -> TradesAnswer:
        """See `TradeHistory`. Of an answer that breaks off the part is given that came."""
        rows: list[Trade] = []
        try:
            for page in self._adapter(exchange, pair).trade_pages(pair, first_id, last_id, since, until):
                rows += page
        except TransientError:
            if not rows:
                raise
            return TradesAnswer(rows, complete=False)
        return TradesAnswer(rows, complete=True)

    def _adapter(self, exchange: str, pair: str) -> HistoryAdapter:
        self._confirm(exchange, pair)
        adapter = self._adapters.get(exchange)
        if adapter is None:
            adapter = self._adapters[exchange] = self._made(exchange)
        return adapter

    def _confirm(self, exchange: str, pair: str) -> None:
        """Raise PermanentError where the exchange does not list the pair under the name it is asked for by."""
        if self._connection is None:
            raise RuntimeError("an ExchangeHistory is used within its context")
        if (exchange, pair) in self._confirmed:
            return
        spellings = instruments.listed_as(self._connection, exchange)
        if refused := unconfirmed(exchange, [pair], spellings):
            raise PermanentError(refused[pair])
        if any(spellings.values()):
            self._confirmed.add((exchange, pair))

    def _made(self, exchange: str) -> HistoryAdapter:
        if self._connection is None:
            raise RuntimeError("an ExchangeHistory is used within its context")
        addresses = instruments.addresses(exchange, self._settings)
        spec = EXCHANGES.get(exchange)
        market: Any = connect(spec.ccxt_id if spec else exchange, addresses, self._settings.rest_timeout_s)
        self._open.callback(market.session.close)
        allowance = Allowance.of(exchange, self._settings)
        budget = SharedBudget(self._connection, exchange, allowance, patience_s=self._patience_s)
        used = spec.history_budget.used if spec else None
        rest = Rest(exchange, market, budget, used_header=used.header if used else "")
        adapter = spec.history_adapter() if spec else GenericHistory
        return adapter(rest, self._clock)
