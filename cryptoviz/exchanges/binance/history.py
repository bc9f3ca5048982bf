"""Binance's past: klines, 1,000 a page, empty windows listed with count 0; trades by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptoviz.exchanges import pages
from cryptoviz.exchanges.binance import feed, wire
from cryptoviz.exchanges.candles import candle
from cryptoviz.exchanges.history import Page, Row
from cryptoviz.pairs import EPOCH, Series, floor
from cryptoviz.records import EARLIEST, Trade
from cryptoviz.remote.exchange import Rest

_PAGE: Final = 1000
_KLINES_WEIGHT: Final = 2
_TRADES_WEIGHT: Final = 25
_OK: Final = 200


class BinanceHistory:
    """Binance as a source of history."""

    def __init__(self, rest: Rest, now: Callable[[], datetime]) -> None:
        self._rest = rest
        self._now = now

    def pages(self, series: Series, since: datetime, until: datetime) -> Iterator[Page]:
        """A request a page; the open candle is left out."""

        def ask(at: datetime) -> tuple[Sequence[Row], bool]:
            return self._klines(series, startTime=_millis(at), endTime=_millis(until), limit=_PAGE)

        return pages.pages(ask, series.timeframe, since, until, self._now)

    def first_candle(self, series: Series) -> datetime | None:
        """The oldest kline."""
        rows, _more = self._klines(series, startTime=0, limit=1)
        return max(EARLIEST, floor(rows[0].window_start, series.timeframe)) if rows else None

    def _klines(self, series: Series, **params: int) -> tuple[Sequence[Row], bool]:
        query = {"symbol": feed.symbol(series.pair), "interval": series.timeframe.value, **params}
        found = self._rest.ask(
            lambda: self._rest.market.public_get_klines(query), wire.rest_klines.decode, weight=_KLINES_WEIGHT
        )
        received_at = datetime.now(UTC)
        return [_candle(series, row, received_at) for row in found], len(found) >= params["limit"]

    def trade_pages(
        self,
        pair: str,
        first_id: int,
        last_id: int,
        since: datetime,  # noqa: ARG002 - Binance pages by id
        until: datetime,  # noqa: ARG002
    ) -> Iterator[Sequence[Trade]]:
        """By id, until the last has come or a page is not full."""
        following = first_id
        while following <= last_id:
            page = self._trades(pair, following)
            yield [trade for trade in page if first_id <= trade.trade_id <= last_id]
            if len(page) < _PAGE or page[-1].trade_id < following:
                return
            following = page[-1].trade_id + 1

    def _trades(self, pair: str, first_id: int) -> list[Trade]:
        market: Any = self._rest.market
        params = {"symbol": feed.symbol(pair), "fromId": first_id, "limit": _PAGE}
        # ccxt's method wants a key, which the address for market data does not.
        address = f"{market.urls['api']['public']}/historicalTrades?{market.urlencode(params)}"
        return self._rest.ask(
            lambda: market.fetch(address), lambda body: feed.rest_trades(pair, _OK, body), weight=_TRADES_WEIGHT
        )


def _millis(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


def _candle(series: Series, row: wire.RestKline, received_at: datetime) -> Row:
    start, opening, high, low, closing, volume, _end, _quote, trades, *_bought = row
    instant = feed.instant(start)
    return candle(series, instant, (opening, high, low, closing, volume, trades), received_at)
