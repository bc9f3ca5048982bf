"""Binance spot as its clients see it: sockets at ``/binance/stream`` and ``/binance/ws``, REST at ``/binance/api/v3``.

Protocol: https://developers.binance.com/docs/binance-spot-api-docs/. Streams trade, aggTrade (each trade is its own
aggregate), ticker, bookTicker and kline_<interval>; market data endpoints of version 3 of the REST interface.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from aiohttp import web

from simulators.binance_messages import (
    MILLI,
    agg_event,
    book_event,
    candle_event,
    decimal_text,
    symbol_of,
    ticker_event,
    trade_events,
)
from simulators.binance_rest import INTERVALS, BinanceRest
from simulators.faults import Kind, Order
from simulators.feed import Feed, Row
from simulators.session import Session, text_frame
from simulators.trades import SECOND, Spec

_PRICE_DECIMALS: Final = {"BTC": 2, "ETH": 2, "SOL": 2, "XRP": 4, "DOGE": 5, "ADA": 4, "LTC": 2, "DOT": 3}
_LOT_DECIMALS: Final = {"BTC": 5, "ETH": 4, "SOL": 3, "XRP": 1, "DOGE": 0, "ADA": 1, "LTC": 3, "DOT": 2}
_MOST_STREAMS: Final = 1024
_PONG_S: Final = 60.0
_CANDLE_S: Final = 2.0
_TICKER_S: Final = 1.0


def _wire(message: Any) -> bytes:
    return msgspec.json.encode(message)


class SimulatedBinance(BinanceRest):
    """The simulated Binance. `ping_s`: time between ping frames; `session_s`: lifetime of a socket."""

    name = "binance"
    caused_by_trades = ("trade", "aggTrade", "bookTicker")

    def __init__(
        self, pairs: list[str], *, seed: int, rate: float, ping_s: float = 20.0, session_s: float = 86_400.0
    ) -> None:
        super().__init__(pairs, seed=seed, rate=rate)
        self.ping_s = ping_s
        self.session_s = session_s
        self._raw: set[Session] = set()
        self._streams: dict[Session, list[str]] = {}
        self._pings: dict[Session, tuple[float, float]] = {}
        self._sent_candles: dict[tuple[str, str], tuple[int, int]] = {}
        self._next_candles = 0.0
        self._next_tickers = 0.0

    def spec(self, pair: str) -> Spec:
        """Binance's tick and lot sizes."""
        base = pair.partition("/")[0]
        return Spec(self.name, pair, _PRICE_DECIMALS.get(base, 4), _LOT_DECIMALS.get(base, 2))

    def routes(self) -> list[web.RouteDef]:
        """Combined and raw streams, and the market data endpoints."""
        rest = self.endpoints()
        sockets = ("/binance/stream", "/binance/ws", "/binance/ws/{streams:.*}")
        return [*(web.get(path, self.connect) for path in sockets), *rest]

    # WebSocket

    async def greet(self, session: Session, request: web.Request) -> None:
        """Subscribe to the streams in the address."""
        if request.path.endswith("/stream"):
            streams = [name for name in request.query.get("streams", "").split("/") if name]
        else:
            self._raw.add(session)
            streams = [name for name in request.match_info.get("streams", "").split("/") if name]
        self._streams[session] = []
        now = time.monotonic()
        self._pings[session] = (now, now)
        self.later(self.session_s, session.cut)
        self._subscribe(session, streams)

    def forget(self, session: Session) -> None:
        """A socket has ended."""
        super().forget(session)
        self._raw.discard(session)
        self._streams.pop(session, None)
        self._pings.pop(session, None)

    async def hear(self, session: Session, message: str) -> None:
        """Answer SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and SET_PROPERTY."""
        try:
            body = msgspec.json.decode(message)
            method, request_id = body["method"], body.get("id")
        except (msgspec.DecodeError, TypeError, KeyError, AttributeError):
            session.send(_wire({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}))
            return
        params = body.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            session.send(_wire({"result": self._streams[session], "id": request_id}))
        elif method == "SET_PROPERTY" and isinstance(params, list) and params[:1] == ["combined"]:
            (self._raw.discard if params[1:] == [True] else self._raw.add)(session)
            session.send(_wire({"result": None, "id": request_id}))
        elif method in {"SUBSCRIBE", "UNSUBSCRIBE"} and _are_streams(params):
            session.send(_wire({"result": None, "id": request_id}))
            (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(session, params)
        else:
            error = {"code": 2, "msg": f"Invalid request: unknown variant or parameters for {method}"}
            session.send(_wire({"error": error, "id": request_id}))

    def _subscribe(self, session: Session, streams: list[str]) -> None:
        known = self._streams[session]
        for stream in streams:
            if stream in known:
                continue
            if len(known) >= _MOST_STREAMS:
                session.cut()
                return
            known.append(stream)
            # A stream that does not exist is accepted and stays silent, as at the real exchange.
            if (target := self._target(stream)) is not None:
                self.flow()
                self.subscribe(session, *target)

    def _unsubscribe(self, session: Session, streams: list[str]) -> None:
        for stream in streams:
            if stream in self._streams[session]:
                self._streams[session].remove(stream)
            if (target := self._target(stream)) is not None:
                self.unsubscribe(session, *target)

    def _target(self, stream: str) -> tuple[str, str] | None:
        symbol, _, channel = stream.partition("@")
        pair = self._by_symbol.get(symbol.upper()) if symbol == symbol.lower() else None
        interval = channel.removeprefix("kline_")
        known = channel in {"trade", "aggTrade", "ticker", "bookTicker"} or (
            interval != channel and interval in INTERVALS
        )
        return (channel, pair) if pair is not None and known else None

    def _deliver(self, channel: str, pair: str, payloads: list[bytes]) -> None:
        """Send event bodies to who subscribed, in the combined envelope or raw."""
        sessions = self.listeners(channel, pair)
        if not sessions or not payloads:
            return
        head = f'{{"stream":"{symbol_of(pair).lower()}@{channel}","data":'.encode()
        combined = raw = b""
        for session in sessions:
            if session in self._raw:
                raw = raw or b"".join(map(text_frame, payloads))
                session.write(raw)
            else:
                combined = combined or b"".join([text_frame(head + payload + b"}") for payload in payloads])
                session.write(combined)

    def publish(self, feed: Feed, rows: list[Row]) -> None:
        """One event for each trade, and the best prices after the batch."""
        pair, spec = feed.spec.pair, feed.spec
        event = self.clock() // MILLI
        if self.listeners("trade", pair):
            self._deliver("trade", pair, trade_events(spec, rows, event))
            for row in rows:
                feed.counters.trade(row[0])
        if self.listeners("aggTrade", pair):
            self._deliver("aggTrade", pair, [_wire(agg_event(spec, row, event)) for row in rows])
            if not self.listeners("trade", pair):
                for row in rows:
                    feed.counters.trade(row[0])
        if self.listeners("bookTicker", pair):
            self._deliver("bookTicker", pair, [_wire(book_event(spec, rows[-1]))])

    def idle(self) -> None:
        """Tickers each second, candles every two seconds while they change and when they close, pings."""
        now = time.monotonic()
        silent = self.faults.standing(Kind.SILENCE, "*")
        if now >= self._next_tickers:
            self._next_tickers = now + _TICKER_S
            if not silent:
                self._send_tickers()
            self._send_pings(now)
        if now >= self._next_candles:
            self._next_candles = now + _CANDLE_S
            if not silent:
                self._send_candles()

    def _send_tickers(self) -> None:
        for pair, feed in self.feeds.items():
            if not self.listeners("ticker", pair) or self.faults.standing(Kind.SILENCE, pair):
                continue
            day = feed.statistics(self.now(feed))
            event = self.clock() // MILLI
            if day is None or day.last_time <= feed.counters.last_ticker or event <= feed.counters.last_ticker // MILLI:
                continue
            self._deliver("ticker", pair, [_wire(ticker_event(feed.spec, day, event))])
            feed.counters.ticker(event * MILLI)

    def _send_candles(self) -> None:
        for (channel, pair), sessions in list(self.subscribers.items()):
            if sessions and channel.startswith("kline_") and not self.faults.standing(Kind.SILENCE, pair):
                self._send_candle(channel, self.feeds[pair])

    def _send_candle(self, channel: str, feed: Feed) -> None:
        interval = channel.removeprefix("kline_")
        length, now = INTERVALS[interval], self.now(feed)
        key = (channel, feed.spec.pair)
        start, count = self._sent_candles.get(key, (now // SECOND - now // SECOND % length, -1))
        for bar in feed.series.bars(length, start, now // SECOND + 1, now):
            closed = (bar.start + length) * SECOND <= now
            if closed or (bar.start, bar.trades) != (start, count):
                event = candle_event(feed.spec, bar, interval, length, closed=closed, event=self.clock() // MILLI)
                self._deliver(*key, [_wire(event)])
                feed.counters.candles += 1
            self._sent_candles[key] = (bar.start + length, -1) if closed else (bar.start, bar.trades)

    def _send_pings(self, now: float) -> None:
        for session, (connected, last) in list(self._pings.items()):
            if now - last >= self.ping_s:
                self._pings[session] = (connected, now)
                # The payload is the server's time; a client must copy it into its pong.
                payload = str(time.time_ns() // MILLI).encode()
                session.write(b"\x89" + bytes((len(payload),)) + payload)

    def interrupt(self, order: Order) -> None:
        """Announce a shutdown before the sockets end."""
        if order.kind is not Kind.SHUTDOWN:
            super().interrupt(order)
            return
        event = {"e": "serverShutdown", "E": self.clock() // MILLI}
        for session in list(self.sessions):
            combined = {"stream": "!serverShutdown", "data": event}
            session.send(_wire(event if session in self._raw else combined))
            self.later(order.grace_s, session.cut)

    def broken_frame(self, feed: Feed, row: Row, variant: int) -> bytes:
        """Cut JSON, a missing field, a wrong type, an impossible value."""
        stream = f"{symbol_of(feed.spec.pair).lower()}@trade"
        text = b'{"stream":"%s","data":%s}' % (stream.encode(), trade_events(feed.spec, [row], row[1] // MILLI)[0])
        price = f'"p":"{decimal_text(row[2], feed.spec.price_decimals)}"'.encode()
        return (
            text[: len(text) // 2],
            text.replace(price + b",", b""),
            text.replace(price, b'"p":{}'),
            text.replace(price, b'"p":"-1.00000000"'),
        )[variant]


def _are_streams(params: Any) -> bool:
    return isinstance(params, list) and bool(params) and all(isinstance(name, str) for name in params)
