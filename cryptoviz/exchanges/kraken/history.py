"""Kraken's past: the newest 720 candles of a timeframe from OHLC, all before them made of its trades.

    since .......................... 720 windows ago .............. now
    Trades, by `last`, candle by candle             OHLC, one request

`last` is in nanoseconds. A page is asked from just before the last trade of the one before: trades of one instant may
lie on both pages.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from cryptoviz.exchanges.candles import build, candle, page_of
from cryptoviz.exchanges.history import Page, Row
from cryptoviz.exchanges.kraken import feed, wire
from cryptoviz.exchanges.kraken.spec import KRAKEN
from cryptoviz.exchanges.pages import CLOSED_AFTER, decisive
from cryptoviz.pairs import EPOCH, Series, floor
from cryptoviz.records import Trade
from cryptoviz.remote.exchange import Rest

_PAGE: Final = 1000
_LISTED: Final = KRAKEN.listed_candles or 0
_SURELY_LISTED: Final = _LISTED - 20
_MOST_BUILT: Final = 10_000
_STEPS_BACK: Final = tuple(
    timedelta(minutes=minutes) for minutes in (10, 360, 10_080, 86_400, 525_600, 4 * 525_600, 40 * 525_600)
)
_NEAR: Final = timedelta(hours=1)
_OK: Final = 200


class KrakenHistory:
    """Kraken as a source of history."""

    def __init__(self, rest: Rest, now: Callable[[], datetime]) -> None:
        self._rest = rest
        self._now = now

    def pages(self, series: Series, since: datetime, until: datetime) -> Iterator[Page]:
        """From trades, then from OHLC, without the last row, which is not committed."""
        at = since
        recent = floor(self._now(), series.timeframe) - _SURELY_LISTED * series.timeframe.length
        for page in self._built(series, at, min(until, recent)):
            yield page
            at = page.until
        if not recent <= at < until:
            return
        rows, open_from = self._listed(series, at)
        # The candle that is still open may be one of the 720.
        first = floor(decisive(rows)[0].window_start, series.timeframe) if len(rows) >= _LISTED - 1 else at
        if first > at:
            for page in self._built(series, at, min(until, first)):
                yield page
                at = page.until
        reached = max(at, min(until, open_from))
        yield page_of([row for row in rows if at <= row.window_start < until], reached)

    def _listed(self, series: Series, since: datetime) -> tuple[Sequence[Row], datetime]:
        minutes = series.timeframe.seconds // 60
        # Listed is what starts after `since`.
        after = _nanos(since) // 1_000_000_000 - 1
        params = {"pair": feed.spelling(series.pair).rest, "interval": minutes, "since": after}
        found = self._rest.ask(lambda: self._rest.market.public_get_ohlc(params), _read_rows)
        received_at = datetime.now(UTC)
        rows = [_candle(series, row, received_at) for row in found[:-1]]
        open_from = _instant(found[-1][0]) if found else EPOCH
        return rows, open_from

    def first_candle(self, series: Series) -> datetime | None:
        """The window of the first trade ever."""
        trades, _last = self._trades(series.pair, "0", count=1)
        return floor(trades[0].timestamp, series.timeframe) if trades else None

    def _built(self, series: Series, since: datetime, until: datetime) -> Iterator[Page]:
        """Candles made of trades. A window is over once there is a later trade, or a while after its end."""
        at, price, waiting = since, None, list[Trade]()
        bad: dict[datetime, str] = {}
        for fresh in self._from(series.pair, since, bad) if since < until else ():
            waiting += fresh
            newest = waiting[-1].timestamp if waiting else since
            over = floor(newest, series.timeframe) if fresh else floor(self._now() - CLOSED_AFTER, series.timeframe)
            over = max(at, min(over, until))
            if price is None and over > at and not (waiting and waiting[0].timestamp < at + series.timeframe.length):
                price = self._price_before(series.pair, at)
            split = bisect_left(waiting, over, key=lambda trade: trade.timestamp)
            done, waiting = waiting[:split], waiting[split:]
            refused = {floor(made, series.timeframe): reason for made, reason in bad.items()}
            for stop in _steps(at, over, series.timeframe.length * _MOST_BUILT):
                upto = bisect_left(done, stop, key=lambda trade: trade.timestamp)
                built = build(series, done[:upto], at, stop, price, refused=refused)
                done, at, price = done[upto:], stop, built.price
                yield page_of(built.rows, stop, built.silent)
            for made in [made for made in bad if made < at]:
                del bad[made]
            if at >= until:
                return

    def _from(self, pair: str, since: datetime, refused: dict[datetime, str] | None = None) -> Iterator[list[Trade]]:
        """The trades from an instant on, page by page; the last page is empty: there are no more.

        `refused`: as of `rest_trades`.
        """
        cursor, seen = _nanos(since) - 1, set[int]()
        while True:
            page, last = self._trades(pair, str(cursor), refused=refused)
            fresh = [trade for trade in page if trade.trade_id not in seen and trade.timestamp >= since]
            if fresh or len(page) < _PAGE or int(last) <= cursor:
                yield fresh
                if not fresh:
                    return
                seen = {trade.trade_id for trade in page}
                cursor = max(cursor, int(last) - 1)
            else:
                # A whole page of one instant: there is no way back into it.
                cursor = int(last)

    def _price_before(self, pair: str, instant: datetime) -> Decimal | None:
        """The price of the last trade before an instant, if there ever was one, in a few requests however long ago."""
        for step in _STEPS_BACK:
            since = max(EPOCH, instant - step)
            if trade := self._last_between(pair, since, instant):
                return trade.price
            if since == EPOCH:
                break
        return None

    def _last_between(self, pair: str, since: datetime, until: datetime) -> Trade | None:
        """The last trade of a time: the middle of what is left is asked for, and in the end page after page."""
        last, end, bad = None, until, dict[datetime, str]()
        page, cursor = self._trades(pair, str(max(0, _nanos(since) - 1)), refused=bad)
        while earlier := [trade for trade in page if trade.timestamp < until]:
            last = earlier[-1]
            if len(earlier) < len(page):
                break
            while len(page) >= _PAGE and end - last.timestamp > _NEAR:
                middle = last.timestamp + (end - last.timestamp) / 2
                beyond, following = self._trades(pair, str(_nanos(middle) - 1), refused=bad)
                if beyond and beyond[0].timestamp < until:
                    page, cursor = beyond, following
                    break
                end = middle
            else:
                page, cursor = self._trades(pair, cursor, refused=bad)
        return None if last is None or any(last.timestamp <= made < until for made in bad) else last

    def trade_pages(
        self, pair: str, first_id: int, last_id: int, since: datetime, until: datetime
    ) -> Iterator[Sequence[Trade]]:
        """By time, from `since` on until the last id, or a trade after `until`, has come."""
        for page in self._from(pair, since):
            yield [trade for trade in page if first_id <= trade.trade_id <= last_id]
            if page and (page[-1].trade_id >= last_id or page[-1].timestamp > until):
                return

    def _trades(
        self, pair: str, since: str, count: int = _PAGE, *, refused: dict[datetime, str] | None = None
    ) -> tuple[list[Trade], str]:
        params = {"pair": feed.spelling(pair).rest, "since": since, "count": count}
        return self._rest.ask(
            lambda: self._rest.market.public_get_trades(params),
            lambda body: feed.rest_trades(pair, feed.rest_result(_OK, body), refused),
        )


def _steps(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    """Where to stop between `start` and `end`, at least once: at the end."""
    while start + step < end:
        start += step
        yield start
    yield end


def _nanos(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000


def _read_rows(body: bytes) -> list[wire.RestCandle]:
    result = feed.rest_result(_OK, body)
    result.pop("last", None)
    return wire.rest_candles.decode(next(iter(result.values()), msgspec.Raw(b"[]")))


def _instant(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _candle(series: Series, row: wire.RestCandle, received_at: datetime) -> Row:
    start, opening, high, low, closing, _average, volume, trades = row
    return candle(series, _instant(start), (opening, high, low, closing, volume, trades), received_at)
