"""Kraken as its clients see it: WebSocket v2 at ``/kraken/v2``, REST at ``/kraken/0/public``.

Protocol: https://docs.kraken.com/api/docs/websocket-v2/ and https://docs.kraken.com/api/docs/rest-api/. Public parts
only: channels status, heartbeat, ticker, trade, ohlc (one minute), instrument, ping; endpoints Time, SystemStatus,
Assets, AssetPairs, Ticker, OHLC, Trades. Order books are not simulated: subscribing to one is refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from simulators.exchange import HTML_PAGE, Exchange, json
from simulators.faults import Kind, Order
from simulators.feed import Feed, Row
from simulators.kraken_messages import (
    asset_id,
    iso,
    nanoseconds,
    ohlc_message,
    rest_asset,
    rest_bar,
    rest_id,
    rest_pair,
    rest_ticker,
    rest_trade,
    spellings,
    symbol_of,
    ticker_message,
    trade_message,
    wire,
    ws_asset,
    ws_pair,
)
from simulators.market import HOUR
from simulators.session import Session, text_frame
from simulators.trades import DAY, MINUTE, SECOND, Spec

_PRICE_DECIMALS: Final = {"BTC": 1, "ETH": 2, "SOL": 2, "XRP": 5, "DOGE": 7, "ADA": 6, "LTC": 2, "DOT": 4}
_CHANNELS: Final = ("ticker", "trade", "ohlc")
_TIMEFRAMES: Final = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "1d": DAY}
_INTERVALS: Final = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_SNAPSHOT_TRADES: Final = 50
_MOST_TRADES: Final = 1000
_MOST_BARS: Final = 720
_HEARTBEAT_S: Final = 1.0
_LIMIT_BURST: Final = 15

_ERRORS: Final = {
    Kind.RATE_LIMIT: "EGeneral:Too many requests",
    Kind.BAN: "EGeneral:Temporary lockout",
    Kind.ERROR_BODY: "EService:Unavailable",
    Kind.MAINTENANCE: "EService:Unavailable",
}


class SimulatedKraken(Exchange):
    """The simulated Kraken."""

    name = "kraken"
    rest_path = "/public/"
    caused_by_trades = ("trade", "ticker", "ohlc")

    def __init__(self, pairs: list[str], *, seed: int, rate: float) -> None:
        super().__init__(pairs, seed=seed, rate=rate)
        self._rest_names = {spelling: pair for pair in pairs for spelling in spellings(pair)}
        self._symbols = {symbol_of(pair): pair for pair in pairs}
        self._requests: dict[str, tuple[float, float]] = {}

    def spec(self, pair: str) -> Spec:
        """Kraken's tick sizes; lots are 1e-8 everywhere."""
        return Spec(self.name, pair, _PRICE_DECIMALS.get(pair.partition("/")[0], 4), 8)

    def routes(self) -> list[web.RouteDef]:
        """WebSocket v2 and the public REST endpoints."""
        handlers = {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
            "Trades": self._trades,
        }
        rest = [
            route
            for name, handler in handlers.items()
            for route in (
                web.get(f"/kraken/0/public/{name}", self.guarded(handler)),
                web.post(f"/kraken/0/public/{name}", self.guarded(handler)),
            )
        ]
        return [web.get("/kraken/v2", self.connect), *rest, web.get("/kraken/0/public/{name}", self._unknown_method)]

    # WebSocket

    @property
    def _system(self) -> str:
        return "maintenance" if self.faults.standing(Kind.MAINTENANCE) else "online"

    def _status(self) -> bytes:
        data = {
            "system": self._system,
            "api_version": "v2",
            "connection_id": 10**19 + self.connects,
            "version": "2.0.10",
        }
        return wire({"channel": "status", "type": "update", "data": [data]})

    async def greet(self, session: Session, request: web.Request) -> None:  # noqa: ARG002 - Binance reads the address
        """Send the engine's status."""
        session.send(self._status())

    async def hear(self, session: Session, message: str) -> None:
        """Answer ping, subscribe and unsubscribe."""
        time_in = iso(time.time_ns())
        try:
            body = msgspec.json.decode(message)
            method = body["method"]
        except (msgspec.DecodeError, TypeError, KeyError):
            session.send(
                wire({"error": "Malformed request", "success": False, "time_in": time_in, "time_out": time_in})
            )
            return
        request_id = {"req_id": body["req_id"]} if "req_id" in body else {}
        if method == "ping":
            session.send(wire({"method": "pong", **request_id, "time_in": time_in, "time_out": iso(time.time_ns())}))
        elif method in {"subscribe", "unsubscribe"}:
            for answer in self._requested(session, method, body.get("params") or {}):
                stamps = {"time_in": time_in, "time_out": iso(time.time_ns())}
                session.send(wire({"method": method, **answer, **stamps, **request_id}))
                if method == "subscribe" and answer["success"]:
                    self._snapshot(session, answer["result"])
        else:
            stamps = {"time_in": time_in, "time_out": iso(time.time_ns())}
            error = {"error": "Method(s) not found", "method": method, "success": False}
            session.send(wire({**error, **request_id, **stamps}))

    def _requested(self, session: Session, method: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        channel = params.get("channel")
        if channel in {"instrument", "heartbeat", "status"}:
            change = session.channels.add if method == "subscribe" else session.channels.discard
            change(str(channel))
            yield {"result": {"channel": channel, "snapshot": bool(params.get("snapshot", True))}, "success": True}
            return
        symbols = params.get("symbol")
        if channel not in _CHANNELS or not isinstance(symbols, list) or not symbols:
            yield {"error": "Subscription channel or symbol is invalid", "success": False}
            return
        for symbol in symbols:
            yield self._requested_symbol(session, method, str(channel), symbol, params)

    def _requested_symbol(
        self, session: Session, method: str, channel: str, symbol: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        pair = self._symbols.get(symbol)
        if pair is None:
            return {"error": f"Currency pair not supported {symbol}", "success": False, "symbol": symbol}
        result: dict[str, Any] = {"channel": channel, "symbol": symbol}
        if channel == "ohlc":
            if params.get("interval", 1) != 1:
                return {"error": "Interval not supported by the simulator", "success": False, "symbol": symbol}
            result["interval"] = 1
        if method == "unsubscribe":
            if not self.unsubscribe(session, channel, pair):
                return {"error": "Subscription Not Found", "success": False, "symbol": symbol}
            return {"result": result, "success": True}
        if session in self.listeners(channel, pair):
            return {"error": "Already subscribed", "success": False, "symbol": symbol}
        if channel == "ticker":
            result["event_trigger"] = params.get("event_trigger", "trades")
        result["snapshot"] = bool(params.get("snapshot", channel != "trade"))
        self.flow()
        self.subscribe(session, channel, pair)
        return {"result": result, "success": True}

    def _snapshot(self, session: Session, result: dict[str, Any]) -> None:
        session.channels.add(result["channel"])
        if not result["snapshot"]:
            return
        if result["channel"] == "instrument":
            session.send(wire({"channel": "instrument", "type": "snapshot", "data": self._instruments()}))
            return
        if result["channel"] not in _CHANNELS:
            return
        feed = self.feeds[self._symbols[result["symbol"]]]
        if result["channel"] == "trade":
            self._trade_snapshot(session, feed)
        elif result["channel"] == "ticker":
            self._send_ticker(feed, "snapshot", feed.cursor, [session])
        else:
            self._send_candle(feed, "snapshot", feed.cursor, [session])

    def _trade_snapshot(self, session: Session, feed: Feed) -> None:
        # What the flow has not sent yet does not belong to the snapshot: it follows as an update.
        now = self.now(feed) if feed.replay else feed.cursor
        rows = feed.series.latest(now, _SNAPSHOT_TRADES).rows()
        for row in rows:
            feed.counters.trade(row[0])
        session.send(trade_message(feed.spec, rows, "snapshot"))

    def _instruments(self) -> dict[str, Any]:
        coins = dict.fromkeys(coin for name in self._symbols for coin in reversed(name.split("/")))
        return {"assets": [ws_asset(coin) for coin in coins], "pairs": [ws_pair(f.spec) for f in self.feeds.values()]}

    def publish(self, feed: Feed, rows: list[Row]) -> None:
        """One trade message for the batch, then one ticker and one candle as they are after it."""
        pair = feed.spec.pair
        if sessions := self.listeners("trade", pair):
            frame = text_frame(trade_message(feed.spec, rows, "update"))
            for session in sessions:
                session.write(frame)
            for row in rows:
                feed.counters.trade(row[0])
        newest = max(rows, key=lambda row: row[1])
        after = newest[1] + 1
        if sessions := self.listeners("ticker", pair):
            self._send_ticker(feed, "update", after, sessions, newest)
        if sessions := self.listeners("ohlc", pair):
            self._send_candle(feed, "update", after, sessions)

    def _send_ticker(self, feed: Feed, kind: str, now: int, sessions: list[Session], newest: Row | None = None) -> None:
        day = feed.statistics(now, newest)
        if day is None or (kind == "update" and day.last_time <= feed.counters.last_ticker):
            return
        frame = text_frame(ticker_message(feed.spec, day, kind))
        for session in sessions:
            session.write(frame)
        feed.counters.ticker(day.last_time)

    def _send_candle(self, feed: Feed, kind: str, now: int, sessions: list[Session]) -> None:
        minute = (now - 1) // SECOND // MINUTE * MINUTE
        for bar in feed.series.bars(MINUTE, minute, minute + MINUTE, now):
            if bar.trades:
                frame = text_frame(ohlc_message(feed.spec, bar, kind))
                for session in sessions:
                    session.write(frame)
                feed.counters.candles += 1

    def idle(self) -> None:
        """A heartbeat on each socket with a subscription on which nothing was sent for a second."""
        if self.faults.standing(Kind.SILENCE, "*"):
            return
        due = time.monotonic() - _HEARTBEAT_S
        for session in list(self.sessions):
            if session.channels and session.last_sent < due:
                session.send(b'{"channel":"heartbeat"}')

    def announce(self, order: Order) -> None:
        """Maintenance is announced, and its end too."""
        super().announce(order)
        if order.kind is Kind.MAINTENANCE:
            self._send_status()
            if order.duration_s is not None:
                self.later(order.duration_s + 0.01, self._send_status)

    def _send_status(self) -> None:
        for session in list(self.sessions):
            session.send(self._status())

    def broken_frame(self, feed: Feed, row: Row, variant: int) -> bytes:
        """Cut JSON, a missing field, a wrong type, an impossible value."""
        text = trade_message(feed.spec, [row], "update")
        price = f'"price":{feed.spec.price(row[2])}'.encode()
        return (
            text[: len(text) // 2],
            text.replace(price + b",", b""),
            text.replace(price, b'"price":"many"'),
            text.replace(price, b'"price":-1'),
        )[variant]

    # REST

    def fault_response(self, kind: Kind, order: Order) -> web.Response:
        """Kraken puts its errors into a 200; only its gateway answers otherwise."""
        if kind is Kind.HTML:
            return web.Response(text=HTML_PAGE, content_type="text/html")
        if kind is Kind.SERVER_ERROR:
            return web.Response(text="error code: 520", status=520)
        if kind is Kind.RATE_LIMIT and order.error is None:
            headers = {"Retry-After": str(order.retry_after_s)}
            return json({"error": [_ERRORS[kind]]}, status=429, headers=headers)
        return json({"error": [order.error or _ERRORS[kind]]})

    def _limited(self, request: web.Request) -> bool:
        """A counter that falls by one a second and refuses above its burst, when limits are switched on."""
        if self.limit is None:
            return False
        now = time.monotonic()
        level, at = self._requests.get(request.remote or "", (0.0, now))
        level = max(level - (now - at), 0.0) + 1
        allowed = level <= min(self.limit, _LIMIT_BURST)
        self._requests[request.remote or ""] = (level if allowed else level - 1, now)
        return not allowed

    def _refused(self, request: web.Request) -> web.Response | None:
        return json({"error": ["EGeneral:Too many requests"]}) if self._limited(request) else None

    async def _unknown_method(self, _request: web.Request) -> web.Response:
        return json({"error": ["EGeneral:Unknown method"]})

    async def _time(self, request: web.Request) -> web.Response:
        now = self.clock() // SECOND
        rfc = datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %y %H:%M:%S +0000")
        return self._refused(request) or _result({"unixtime": now, "rfc1123": rfc})

    async def _system_status(self, request: web.Request) -> web.Response:
        return self._refused(request) or _result(
            {"status": self._system, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        )

    async def _assets(self, request: web.Request) -> web.Response:
        coins = dict.fromkeys(coin for pair in self.feeds for coin in pair.split("/"))
        return self._refused(request) or _result({asset_id(coin): rest_asset(coin) for coin in coins})

    async def _asset_pairs(self, request: web.Request) -> web.Response:
        feeds = self._requested_feeds(request)
        if feeds is None:
            return _unknown_pair()
        return self._refused(request) or _result({rest_id(f.spec.pair): rest_pair(f.spec) for f in feeds})

    def _requested_feeds(self, request: web.Request) -> list[Feed] | None:
        names = request.query.get("pair", "")
        if not names:
            return list(self.feeds.values())
        pairs = [self._rest_names.get(name.upper()) for name in names.split(",")]
        return None if None in pairs else [self.feeds[pair] for pair in pairs if pair]

    async def _ticker(self, request: web.Request) -> web.Response:
        feeds = self._requested_feeds(request)
        if feeds is None:
            return _unknown_pair()
        result = {}
        for feed in feeds:
            day = feed.statistics(self.now(feed))
            if day is not None:
                result[rest_id(feed.spec.pair)] = rest_ticker(feed, day, self.now(feed))
        return self._refused(request) or _result(result)

    async def _ohlc(self, request: web.Request) -> web.Response:
        feeds = self._requested_feeds(request)
        if not request.query.get("pair") or feeds is None:
            return _unknown_pair()
        try:
            interval = int(request.query.get("interval", "1"))
            since = int(float(request.query.get("since", "0")))
        except ValueError:
            return json({"error": ["EGeneral:Invalid arguments"]})
        if interval not in _INTERVALS:
            return json({"error": ["EGeneral:Invalid arguments"]})
        length, feed = interval * MINUTE, feeds[0]
        now = self.now(feed) // SECOND
        # 720 committed candles and the open one, as recorded; nothing older can be had, whatever `since` says.
        name = next((name for name, seconds in _TIMEFRAMES.items() if seconds == length), "")
        oldest = now - now % length - _MOST_BARS * length - DAY * 7 * (length > DAY)
        bars = await self.bars(feed, (name, length), max(oldest, since + 1), now + 1)
        bars = [bar for bar in bars[-_MOST_BARS - 1 :] if bar.start > since]
        committed = now - now % length - length
        rows = [rest_bar(feed.spec, bar) for bar in bars]
        last = bars[-2].start if len(bars) > 1 else committed
        return self._refused(request) or _result({rest_id(feed.spec.pair): rows, "last": last})

    async def _trades(self, request: web.Request) -> web.Response:
        feeds = self._requested_feeds(request)
        if not request.query.get("pair") or feeds is None:
            return _unknown_pair()
        try:
            count = min(max(int(request.query.get("count", _MOST_TRADES)), 1), _MOST_TRADES)
            since = nanoseconds(request.query["since"]) if "since" in request.query else None
        except ValueError:
            return json({"error": ["EGeneral:Invalid arguments"]})
        if refused := self._refused(request):
            return refused
        feed = feeds[0]
        now = self.now(feed)
        if since is None:
            trades = feed.series.latest(now, count)
        else:
            first, last = feed.series.count_before(since + 1) + 1, feed.series.count_before(now)
            trades = feed.held(first, last, count)
        rows = trades.rows()
        feed.counters.rest_trades += len(rows)
        last_time = rows[-1][1] if rows else (since or 0)
        return _result({rest_id(feed.spec.pair): [rest_trade(feed.spec, row) for row in rows], "last": str(last_time)})


def _result(result: Any) -> web.Response:
    return json({"error": [], "result": result})


def _unknown_pair() -> web.Response:
    return json({"error": ["EQuery:Unknown asset pair"]})
