"""The past of an exchange: candles and trades over REST, within its limits, with retries, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, Trade

Span = tuple[datetime, datetime]
"""From its first instant up to but without its last."""


@dataclass(frozen=True)
class Impossible:
    """A row that an exchange gave for a candle and that cannot be one, with the reason.

    None: a number that it did not give, or that is wider than what is stored.
    """

    window_start: datetime
    window_end: datetime
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal | None
    trade_count: int | None
    reason: str


Row = Candle | Impossible


@dataclass(frozen=True)
class Answer:
    """The closed candles that an exchange has of a range, in the order of their windows.

    `complete`: the answer covers the whole range, so there are no other candles. `silent`: ranges without a candle in
    which, by the exchange's word, nobody traded. `impossible`: rows that cannot be candles, or must not be stored.
    """

    rows: Sequence[Candle]
    complete: bool
    silent: Sequence[Span] = ()
    impossible: Sequence[Impossible] = ()


@dataclass(frozen=True)
class TradesAnswer:
    """The trades that an exchange has of a range of ids. `complete`: it has no others there."""

    rows: Sequence[Trade]
    complete: bool


@dataclass(frozen=True)
class Page:
    """What one request brought, oldest first. The pages so far answer everything before `until`.

    `silent`: where there is no candle but the exchange says that there were no trades. `impossible`: what came that
    cannot be a candle.
    """

    rows: Sequence[Candle]
    until: datetime
    silent: Sequence[Span] = ()
    impossible: Sequence[Impossible] = ()


class HistoryAdapter(Protocol):
    """What one exchange gives of its past: the adapter in its folder, used by one thread.

    Each method raises TransientError where there is no answer now, and PermanentError where asking
    again will not help.
    """

    def pages(self, series: Series, since: datetime, until: datetime) -> Iterator[Page]:
        """The closed candles whose windows start in the range from `since` up to but without `until`, oldest first."""

    def first_candle(self, series: Series) -> datetime | None:
        """Where the oldest candle starts that the exchange can give; None where it has none."""

    def trade_pages(
        self, pair: str, first_id: int, last_id: int, since: datetime, until: datetime
    ) -> Iterator[Sequence[Trade]]:
        """The trades with the ids `first_id` to `last_id`, which were made between `since` and `until`, in pages."""


class CandleHistory(Protocol):
    """Candles of the past."""

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        """The closed candles whose windows start in the range from `since` up to but without `until`.

        An empty window that the exchange lists is a row with volume 0.

        Raises:
            TransientError: no answer now; try again later.
            PermanentError: asking again will not help.
        """


class TradeHistory(Protocol):
    """Trades of the past."""

    def trades(
        self, exchange: str, pair: str, first_id: int, last_id: int, *, since: datetime, until: datetime
    ) -> TradesAnswer:
        """The trades with the ids `first_id` to `last_id`, which were made between `since` and `until`.

        Raises:
            TransientError: no answer now; try again later.
            PermanentError: asking again will not help.
        """


class PagedHistory(CandleHistory, TradeHistory, Protocol):
    """Candles and trades of the past, the candles also page by page."""

    def pages(self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime) -> Iterator[Page]:
        """The closed candles whose windows start in the range from `since` up to but without `until`, oldest first.

        A request is made when the next page is asked for. The last page says how far the exchange's answers reach:
        before `until` where its candles are not all closed yet.

        Raises:
            TransientError: no answer now; go on later at `until` of the last page.
            PermanentError: asking again will not help.
        """

    def first_candle(self, exchange: str, pair: str, timeframe: Timeframe) -> datetime | None:
        """Where the oldest candle starts that the exchange can give; None where it has none.

        Raises:
            TransientError: no answer now; try again later.
            PermanentError: asking again will not help.
        """
