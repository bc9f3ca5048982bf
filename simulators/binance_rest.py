"""Binance's market data endpoints of version 3, simulated: weights, bans, errors, answers."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from aiohttp import web

from simulators.binance_messages import (
    MILLI,
    aggregate,
    book_body,
    rest_bar,
    rest_ticker,
    rest_trade,
    symbol_info,
    ticker_price_body,
)
from simulators.exchange import HTML_PAGE, Exchange, json
from simulators.faults import Kind, Order
from simulators.feed import Feed
from simulators.market import HOUR
from simulators.trades import DAY, MINUTE, SECOND, Trades

INTERVALS: Final = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
}
_MOST: Final = 1000
_DEFAULT: Final = 500
_PATIENCE: Final = 10
_BAN_S: Final = 120
_WEIGHTS: Final = {"exchangeInfo": 20, "klines": 2, "trades": 25, "historicalTrades": 25, "aggTrades": 4}


class RefusalError(Exception):
    """A REST request that Binance refuses, with its code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class BinanceRest(Exchange):
    """The REST half of the simulated Binance; its sockets are in `simulators.binance`."""

    rest_path = "/api/v3/"

    def __init__(self, pairs: list[str], *, seed: int, rate: float) -> None:
        super().__init__(pairs, seed=seed, rate=rate)
        self._by_symbol = {pair.replace("/", ""): pair for pair in pairs}
        self._weight = (0, 0)
        self._refused = 0
        self._banned_until = 0.0

    def endpoints(self) -> list[web.RouteDef]:
        """The market data endpoints."""
        handlers = {
            "ping": self._ping,
            "time": self._time,
            "exchangeInfo": self._exchange_info,
            "klines": self._klines,
            "trades": self._recent_trades,
            "historicalTrades": self._historical_trades,
            "aggTrades": self._agg_trades,
            "ticker/24hr": self._ticker_day,
            "ticker/price": self._ticker_price,
            "ticker/bookTicker": self._ticker_book,
        }
        return [
            web.get(f"/binance/api/v3/{name}", self.guarded(self._weighed(name, handler)))
            for name, handler in handlers.items()
        ]

    def fault_response(self, kind: Kind, order: Order) -> web.Response:
        """Binance speaks with status codes and a body of code and msg."""
        retry = {"Retry-After": str(order.retry_after_s)}
        until = time.time_ns() // MILLI + order.retry_after_s * 1000
        limit = {
            "code": -1003,
            "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE.",
        }
        banned = {"code": -1003, "msg": f"Way too much request weight used; IP banned until {until}."}
        if kind is Kind.HTML:
            return web.Response(text=HTML_PAGE, content_type="text/html")
        if kind is Kind.RATE_LIMIT:
            return json(limit, status=429, headers=retry)
        if kind is Kind.BAN:
            return json(banned, status=418, headers=retry)
        if kind is Kind.ERROR_BODY:
            return json({"code": -1121, "msg": order.error or "Invalid symbol."}, status=400)
        return json({"code": -1000, "msg": "An unknown error occurred while processing the request."}, status=503)

    def _weighed(self, name: str, handler: Any) -> Any:
        async def weigh(request: web.Request) -> web.Response:
            limited = self._limited(_WEIGHTS.get(name, 1 if name in {"ping", "time"} else 2))
            response: web.Response = limited or await self._answered(handler, request)
            response.headers["X-MBX-USED-WEIGHT-1M"] = response.headers["X-MBX-USED-WEIGHT"] = str(self._weight[1])
            return response

        return weigh

    @staticmethod
    async def _answered(handler: Any, request: web.Request) -> web.Response:
        try:
            response: web.Response = await handler(request)
        except RefusalError as refusal:
            return json({"code": refusal.code, "msg": refusal.text}, status=400)
        return response

    def _limited(self, weight: int) -> web.Response | None:
        """Count the weight of this minute; when limits are switched on, 429 above it and 418 for who goes on."""
        now = time.time()
        minute = int(now // MINUTE)
        used = self._weight[1] if self._weight[0] == minute else 0
        self._weight = (minute, used + weight)
        if self.limit is None:
            return None
        if now < self._banned_until:
            order = Order(self.name, Kind.BAN, retry_after_s=int(self._banned_until - now) + 1)
            return self.fault_response(Kind.BAN, order)
        if used + weight <= self.limit:
            self._refused = 0
            return None
        self._refused += 1
        if self._refused > _PATIENCE:
            self._banned_until = now + _BAN_S
            return self.fault_response(Kind.BAN, Order(self.name, Kind.BAN, retry_after_s=_BAN_S))
        left = int((minute + 1) * MINUTE - now) + 1
        return self.fault_response(Kind.RATE_LIMIT, Order(self.name, Kind.RATE_LIMIT, retry_after_s=left))

    def _feed(self, request: web.Request) -> Feed:
        symbol = request.query.get("symbol")
        if not symbol:
            raise RefusalError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        pair = self._by_symbol.get(symbol)
        if pair is None:
            raise RefusalError(-1121, "Invalid symbol.")
        return self.feeds[pair]

    async def _ping(self, _request: web.Request) -> web.Response:
        return json({})

    async def _time(self, _request: web.Request) -> web.Response:
        return json({"serverTime": self.clock() // MILLI})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        feeds = [self._feed(request)] if "symbol" in request.query else list(self.feeds.values())
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limit or 6000},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        ]
        return json(
            {
                "timezone": "UTC",
                "serverTime": self.clock() // MILLI,
                "rateLimits": limits,
                "exchangeFilters": [],
                "symbols": [symbol_info(feed.spec) for feed in feeds],
            }
        )

    async def _klines(self, request: web.Request) -> web.Response:
        feed = self._feed(request)
        name = request.query.get("interval", "")
        length = INTERVALS.get(name)
        if length is None:
            raise RefusalError(-1120, "Invalid interval.")
        limit = _limit(request)
        start, end = _integer(request, "startTime"), _integer(request, "endTime")
        now = self.now(feed)
        stop = now // SECOND + 1 if end is None else min(end // 1000 + 1, now // SECOND + 1)
        if start is None:
            begin = stop - (limit + 1) * length
        else:
            # Before its listing a pair has nothing to skip: its first candles answer.
            opened = max(feed.series.begin // SECOND, feed.listed_from)
            begin = max(-(-start // 1000), opened // length * length)
            most = -(-begin // length) * length + limit * length + 4 * DAY * (length > DAY)
            stop = min(stop, most + feed.lacking(begin, stop, name))
        bars = await self.bars(feed, (name, length), begin, stop) if begin < stop else []
        chosen = bars[-limit:] if start is None else bars[:limit]
        return json([rest_bar(feed.spec, bar, length) for bar in chosen])

    async def _recent_trades(self, request: web.Request) -> web.Response:
        feed = self._feed(request)
        return self._trades(feed, feed.series.latest(self.now(feed), _limit(request)))

    async def _historical_trades(self, request: web.Request) -> web.Response:
        feed, limit = self._feed(request), _limit(request)
        first = _integer(request, "fromId")
        if first is None:
            return self._trades(feed, feed.series.latest(self.now(feed), limit))
        last = feed.series.count_before(self.now(feed))
        return self._trades(feed, feed.held(first, last, limit))

    def _trades(self, feed: Feed, trades: Trades) -> web.Response:
        feed.counters.rest_trades += len(trades)
        return json([rest_trade(feed.spec, row) for row in trades.rows()])

    async def _agg_trades(self, request: web.Request) -> web.Response:
        feed, limit = self._feed(request), _limit(request)
        first, start, end = (_integer(request, name) for name in ("fromId", "startTime", "endTime"))
        now = self.now(feed)
        if first is not None and (start is not None or end is not None):
            raise RefusalError(-1128, "Combination of optional parameters invalid.")
        if first is None and start is None and end is None:
            trades = feed.series.latest(now, limit)
        else:
            last = feed.series.count_before(min(now, (end + 1) * MILLI) if end is not None else now)
            if first is None:
                first = feed.series.count_before(start * MILLI) + 1 if start is not None else last - limit + 1
            trades = feed.held(first, last, limit)
        feed.counters.rest_trades += len(trades)
        return json([aggregate(feed.spec, row) for row in trades.rows()])

    def _requested_feeds(self, request: web.Request) -> tuple[list[Feed], bool]:
        if "symbols" in request.query:
            try:
                symbols = msgspec.json.decode(request.query["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise RefusalError(-1101, "Illegal characters found in parameter 'symbols'.") from None
            if any(symbol not in self._by_symbol for symbol in symbols):
                raise RefusalError(-1121, "Invalid symbol.")
            return [self.feeds[self._by_symbol[symbol]] for symbol in symbols], True
        if "symbol" in request.query:
            return [self._feed(request)], False
        return list(self.feeds.values()), True

    def _each(self, request: web.Request, show: Any) -> web.Response:
        feeds, many = self._requested_feeds(request)
        found = [(feed, feed.statistics(self.now(feed))) for feed in feeds]
        shown = [show(feed, day, self.now(feed)) for feed, day in found if day is not None]
        return json(shown if many else shown[0])

    async def _ticker_day(self, request: web.Request) -> web.Response:
        return self._each(request, rest_ticker)

    async def _ticker_price(self, request: web.Request) -> web.Response:
        return self._each(request, lambda feed, day, _now: ticker_price_body(feed.spec, day))

    async def _ticker_book(self, request: web.Request) -> web.Response:
        return self._each(request, lambda feed, day, _now: book_body(feed.spec, day))


def _limit(request: web.Request) -> int:
    limit = _integer(request, "limit")
    if limit is None:
        return _DEFAULT
    if limit < 1:
        raise RefusalError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, _MOST)


def _integer(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise RefusalError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)
