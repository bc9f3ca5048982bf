"""The past of any other exchange of ccxt, through its unified candles: no trade counts, and no trades by id."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cryptoviz.exchanges import pages
from cryptoviz.exchanges.candles import candle
from cryptoviz.exchanges.history import Page, Row
from cryptoviz.pairs import EPOCH, Series, floor
from cryptoviz.records import Trade
from cryptoviz.remote.errors import PermanentError
from cryptoviz.remote.exchange import Rest

_PAGE: Final = 500
_MILLISECOND: Final = timedelta(milliseconds=1)
_BEFORE_ALL: Final = datetime(2009, 1, 3, tzinfo=UTC)


class GenericHistory:
    """An exchange without an adapter of its own, as a source of history."""

    def __init__(self, rest: Rest, now: Callable[[], datetime]) -> None:
        self._rest = rest
        self._now = now

    def pages(self, series: Series, since: datetime, until: datetime) -> Iterator[Page]:
        """As many rows a page as the exchange likes; a window that it leaves out is neither silent nor explained."""

        def ask(at: datetime) -> tuple[Sequence[Row], bool]:
            rows = self._rows(series, at)
            return rows, bool(rows) and pages.decisive(rows)[-1].window_start < until

        # There may be nothing for years; a run that is stopped meanwhile should go on there.
        return pages.pages(ask, series.timeframe, since, until, self._now, step=series.timeframe.length * _PAGE)

    def first_candle(self, series: Series) -> datetime | None:
        """Where the exchange begins: it answers from there, or for the time asked about only."""
        step = series.timeframe.length * _PAGE
        starts = range((self._now() - _BEFORE_ALL) // step + 1)
        if rows := self._rows(series, _BEFORE_ALL):
            return floor(rows[0].window_start, series.timeframe)
        first = bisect_left(starts, True, key=lambda number: bool(self._rows(series, _BEFORE_ALL + number * step)))
        rows = self._rows(series, _BEFORE_ALL + first * step) if first < len(starts) else ()
        return floor(rows[0].window_start, series.timeframe) if rows else None

    def _rows(self, series: Series, since: datetime) -> Sequence[Row]:
        market = self._rest.market
        if not market.markets:
            self._rest.call(market.load_markets)
        at = floor(since, series.timeframe)
        since_ms = (at - EPOCH) // _MILLISECOND
        found = self._rest.call(lambda: market.fetch_ohlcv(series.pair, series.timeframe.value, since_ms, _PAGE))
        received_at = datetime.now(UTC)
        rows = [_candle(series, row, received_at) for row in found]
        return sorted((row for row in rows if row.window_start >= at), key=lambda row: row.window_start)

    def trade_pages(
        self,
        pair: str,
        first_id: int,
        last_id: int,
        since: datetime,  # noqa: ARG002 - as every source
        until: datetime,  # noqa: ARG002
    ) -> Iterator[Sequence[Trade]]:
        """Not here.

        Raises:
            PermanentError: always.
        """
        wanted = f"{pair} trades {first_id} to {last_id}"
        raise PermanentError(f"{self._rest.exchange}: trades cannot be asked for by id ({wanted})")


def _candle(series: Series, row: Sequence[Any], received_at: datetime) -> Row:
    start, *given = row[:6]
    opening, high, low, closing, volume = (None if number is None else Decimal(number) for number in given)
    figures = (opening, high, low, closing, volume, 0)
    return candle(series, EPOCH + int(start) * _MILLISECOND, figures, received_at)
