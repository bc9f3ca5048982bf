"""Binance spot as its clients see it: sockets at ``/binance/stream`` and ``/binance/ws``, REST at ``/binance/api/v3``.

Protocol: https://developers.binance.com/docs/binance-spot-api-docs/. Streams trade, aggTrade (each trade is its own
aggregate), ticker, bookTicker and kline_<interval>; market data endpoints of version 3 of the REST interface.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from aiohttp import web

from simulators.exchange import HTML_PAGE, Exchange, Feed, Row, Session, Statistics, json, text_frame
from simulators.faults import Kind, Order
from simulators.market import DAY, HOUR, MINUTE, SECOND, Bar, Spec, Trades, decimal

_PRICE_DECIMALS: Final = {"BTC": 2, "ETH": 2, "SOL": 2, "XRP": 4, "DOGE": 5, "ADA": 4, "LTC": 2, "DOT": 3}
_LOT_DECIMALS: Final = {"BTC": 5, "ETH": 4, "SOL": 3, "XRP": 1, "DOGE": 0, "ADA": 1, "LTC": 3, "DOT": 2}
_INTERVALS: Final = {
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
_WIRE_DECIMALS: Final = 8
_MILLI: Final = 1_000_000
_MOST: Final = 1000
_DEFAULT: Final = 500
_MOST_STREAMS: Final = 1024
_PONG_S: Final = 60.0
_CANDLE_S: Final = 2.0
_TICKER_S: Final = 1.0
_PATIENCE: Final = 10
_BAN_S: Final = 120
_WEIGHTS: Final = {"exchangeInfo": 20, "klines": 2, "trades": 25, "historicalTrades": 25, "aggTrades": 4}


class RefusalError(Exception):
    """A REST request that Binance refuses, with its code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _wire(message: Any) -> bytes:
    return msgspec.json.encode(message)


class SimulatedBinance(Exchange):
    """The simulated Binance. `ping_s`: time between ping frames; `session_s`: lifetime of a socket."""

    name = "binance"
    rest_path = "/api/v3/"
    caused_by_trades = ("trade", "aggTrade", "bookTicker")

    def __init__(
        self, pairs: list[str], *, seed: int, rate: float, ping_s: float = 20.0, session_s: float = 86_400.0
    ) -> None:
        super().__init__(pairs, seed=seed, rate=rate)
        self.ping_s = ping_s
        self.session_s = session_s
        self._by_symbol = {pair.replace("/", ""): pair for pair in pairs}
        self._raw: set[Session] = set()
        self._streams: dict[Session, list[str]] = {}
        self._pings: dict[Session, tuple[float, float]] = {}
        self._sent_candles: dict[tuple[str, str], tuple[int, int]] = {}
        self._next_candles = 0.0
        self._next_tickers = 0.0
        self._weight = (0, 0)
        self._refused = 0
        self._banned_until = 0.0

    def spec(self, pair: str) -> Spec:
        """Binance's tick and lot sizes."""
        base = pair.partition("/")[0]
        return Spec(self.name, pair, _PRICE_DECIMALS.get(base, 4), _LOT_DECIMALS.get(base, 2))

    def routes(self) -> list[web.RouteDef]:
        """Combined and raw streams, and the market data endpoints."""
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
        rest = [
            web.get(f"/binance/api/v3/{name}", self.guarded(self._weighed(name, handler)))
            for name, handler in handlers.items()
        ]
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
            interval != channel and interval in _INTERVALS
        )
        return (channel, pair) if pair is not None and known else None

    def _deliver(self, channel: str, pair: str, payloads: list[bytes]) -> None:
        """Send event bodies to who subscribed, in the combined envelope or raw."""
        sessions = self.listeners(channel, pair)
        if not sessions or not payloads:
            return
        head = f'{{"stream":"{_symbol(pair).lower()}@{channel}","data":'.encode()
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
        event = self.clock() // _MILLI
        if self.listeners("trade", pair):
            self._deliver("trade", pair, _trade_events(spec, rows, event))
            for row in rows:
                feed.counters.trade(row[0])
        if self.listeners("aggTrade", pair):
            self._deliver("aggTrade", pair, [_wire(_agg_event(spec, row, event)) for row in rows])
            if not self.listeners("trade", pair):
                for row in rows:
                    feed.counters.trade(row[0])
        if self.listeners("bookTicker", pair):
            self._deliver("bookTicker", pair, [_wire(_book_event(spec, rows[-1]))])

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
            event = self.clock() // _MILLI
            if (
                day is None
                or day.last_time <= feed.counters.last_ticker
                or event <= feed.counters.last_ticker // _MILLI
            ):
                continue
            self._deliver("ticker", pair, [_wire(_ticker_event(feed.spec, day, event))])
            feed.counters.ticker(event * _MILLI)

    def _send_candles(self) -> None:
        for (channel, pair), sessions in list(self.subscribers.items()):
            if sessions and channel.startswith("kline_") and not self.faults.standing(Kind.SILENCE, pair):
                self._send_candle(channel, self.feeds[pair])

    def _send_candle(self, channel: str, feed: Feed) -> None:
        interval = channel.removeprefix("kline_")
        length, now = _INTERVALS[interval], self.now(feed)
        key = (channel, feed.spec.pair)
        start, count = self._sent_candles.get(key, (now // SECOND - now // SECOND % length, -1))
        for bar in feed.series.bars(length, start, now // SECOND + 1, now):
            closed = (bar.start + length) * SECOND <= now
            if closed or (bar.start, bar.trades) != (start, count):
                event = _candle_event(feed.spec, bar, interval, length, closed=closed, event=self.clock() // _MILLI)
                self._deliver(*key, [_wire(event)])
                feed.counters.candles += 1
            self._sent_candles[key] = (bar.start + length, -1) if closed else (bar.start, bar.trades)

    def _send_pings(self, now: float) -> None:
        for session, (connected, last) in list(self._pings.items()):
            if now - last >= self.ping_s:
                self._pings[session] = (connected, now)
                # The payload is the server's time; a client must copy it into its pong.
                payload = str(time.time_ns() // _MILLI).encode()
                session.write(b"\x89" + bytes((len(payload),)) + payload)

    def interrupt(self, order: Order) -> None:
        """Announce a shutdown before the sockets end."""
        if order.kind is not Kind.SHUTDOWN:
            super().interrupt(order)
            return
        event = {"e": "serverShutdown", "E": self.clock() // _MILLI}
        for session in list(self.sessions):
            combined = {"stream": "!serverShutdown", "data": event}
            session.send(_wire(event if session in self._raw else combined))
            self.later(order.grace_s, session.cut)

    def broken_frame(self, feed: Feed, row: Row, variant: int) -> bytes:
        """Cut JSON, a missing field, a wrong type, an impossible value."""
        stream = f"{_symbol(feed.spec.pair).lower()}@trade"
        text = b'{"stream":"%s","data":%s}' % (stream.encode(), _trade_events(feed.spec, [row], row[1] // _MILLI)[0])
        price = f'"p":"{_text(row[2], feed.spec.price_decimals)}"'.encode()
        return (
            text[: len(text) // 2],
            text.replace(price + b",", b""),
            text.replace(price, b'"p":{}'),
            text.replace(price, b'"p":"-1.00000000"'),
        )[variant]

    # REST

    def fault_response(self, kind: Kind, order: Order) -> web.Response:
        """Binance speaks with status codes and a body of code and msg."""
        retry = {"Retry-After": str(order.retry_after_s)}
        until = time.time_ns() // _MILLI + order.retry_after_s * 1000
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
        return json({"serverTime": self.clock() // _MILLI})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        feeds = [self._feed(request)] if "symbol" in request.query else list(self.feeds.values())
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limit or 6000},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        ]
        return json(
            {
                "timezone": "UTC",
                "serverTime": self.clock() // _MILLI,
                "rateLimits": limits,
                "exchangeFilters": [],
                "symbols": [_symbol_info(feed.spec) for feed in feeds],
            }
        )

    async def _klines(self, request: web.Request) -> web.Response:
        feed = self._feed(request)
        name = request.query.get("interval", "")
        length = _INTERVALS.get(name)
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
        return json([_rest_bar(feed.spec, bar, length) for bar in chosen])

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
        return json([_rest_trade(feed.spec, row) for row in trades.rows()])

    async def _agg_trades(self, request: web.Request) -> web.Response:
        feed, limit = self._feed(request), _limit(request)
        first, start, end = (_integer(request, name) for name in ("fromId", "startTime", "endTime"))
        now = self.now(feed)
        if first is not None and (start is not None or end is not None):
            raise RefusalError(-1128, "Combination of optional parameters invalid.")
        if first is None and start is None and end is None:
            trades = feed.series.latest(now, limit)
        else:
            last = feed.series.count_before(min(now, (end + 1) * _MILLI) if end is not None else now)
            if first is None:
                first = feed.series.count_before(start * _MILLI) + 1 if start is not None else last - limit + 1
            trades = feed.held(first, last, limit)
        feed.counters.rest_trades += len(trades)
        return json([_aggregate(feed.spec, row) for row in trades.rows()])

    def _asked(self, request: web.Request) -> tuple[list[Feed], bool]:
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
        feeds, many = self._asked(request)
        found = [(feed, feed.statistics(self.now(feed))) for feed in feeds]
        shown = [show(feed, day, self.now(feed)) for feed, day in found if day is not None]
        return json(shown if many else shown[0])

    async def _ticker_day(self, request: web.Request) -> web.Response:
        return self._each(request, _rest_ticker)

    async def _ticker_price(self, request: web.Request) -> web.Response:
        return self._each(request, lambda feed, day, _now: _ticker_price_body(feed.spec, day))

    async def _ticker_book(self, request: web.Request) -> web.Response:
        return self._each(request, lambda feed, day, _now: _book_body(feed.spec, day))


def _are_streams(params: Any) -> bool:
    return isinstance(params, list) and bool(params) and all(isinstance(name, str) for name in params)


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


def _symbol(pair: str) -> str:
    return pair.replace("/", "")


def _text(value: int, decimals: int) -> str:
    """A number as Binance writes it: always eight decimals."""
    return decimal(value * 10 ** (_WIRE_DECIMALS - decimals), _WIRE_DECIMALS)


def _quote(spec: Spec, value: int) -> str:
    """A quote volume in ticks times lots: exactly, with eight decimals, as tick and lot sizes need no more."""
    return _text(value, spec.price_decimals + spec.volume_decimals)


def _trade_events(spec: Spec, rows: list[Row], event: int) -> list[bytes]:
    head = f'{{"e":"trade","E":{event},"s":"{_symbol(spec.pair)}","t":'
    scale = 10 ** (_WIRE_DECIMALS - spec.volume_decimals)
    previous, price = -1, ""
    events = []
    for trade_id, instant, tick, lots, buy in rows:
        if tick != previous:
            previous, price = tick, _text(tick, spec.price_decimals)
        whole, part = divmod(lots * scale, 100_000_000)
        events.append(
            f'{head}{trade_id},"p":"{price}","q":"{whole}.{part:08d}","T":{instant // _MILLI},'
            f'"m":{"false" if buy else "true"},"M":true}}'.encode()
        )
    return events


def _aggregate(spec: Spec, row: Row) -> dict[str, Any]:
    trade_id, instant, tick, lots, buy = row
    return {
        "a": trade_id,
        "p": _text(tick, spec.price_decimals),
        "q": _text(lots, spec.volume_decimals),
        "f": trade_id,
        "l": trade_id,
        "T": instant // _MILLI,
        "m": not buy,
        "M": True,
    }


def _agg_event(spec: Spec, row: Row, event: int) -> dict[str, Any]:
    return {"e": "aggTrade", "E": event, "s": _symbol(spec.pair), **_aggregate(spec, row)}


def _book_event(spec: Spec, row: Row) -> dict[str, Any]:
    lots = _text(row[3], spec.volume_decimals)
    bid, ask = (_text(tick, spec.price_decimals) for tick in (max(row[2] - 1, 1), row[2] + 1))
    return {"u": row[0], "s": _symbol(spec.pair), "b": bid, "B": lots, "a": ask, "A": lots}


def _ticker_event(spec: Spec, day: Statistics, event: int) -> dict[str, Any]:
    def price(tick: int) -> str:
        return _text(tick, spec.price_decimals)

    return {
        "e": "24hrTicker",
        "E": event,
        "s": _symbol(spec.pair),
        "p": _signed(spec, day.last - day.open),
        "P": f"{day.change_percent:.3f}",
        "w": f"{day.average / 10**spec.price_decimals:.8f}",
        "x": price(day.open),
        "c": price(day.last),
        "Q": _text(day.last_lots, spec.volume_decimals),
        "b": price(max(day.last - 1, 1)),
        "B": _text(day.last_lots * 3, spec.volume_decimals),
        "a": price(day.last + 1),
        "A": _text(day.last_lots * 2, spec.volume_decimals),
        "o": price(day.open),
        "h": price(day.high),
        "l": price(day.low),
        "v": _text(day.lots, spec.volume_decimals),
        "q": _quote(spec, day.quote),
        "O": day.start * 1000,
        "C": event,
        "F": day.first_id,
        "L": day.last_id,
        "n": day.count,
    }


def _signed(spec: Spec, tick: int) -> str:
    return ("-" if tick < 0 else "") + _text(abs(tick), spec.price_decimals)


def _candle_event(spec: Spec, bar: Bar, interval: str, length: int, *, closed: bool, event: int) -> dict[str, Any]:
    def price(tick: int) -> str:
        return _text(tick, spec.price_decimals)

    return {
        "e": "kline",
        "E": event,
        "s": _symbol(spec.pair),
        "k": {
            "t": bar.start * 1000,
            "T": (bar.start + length) * 1000 - 1,
            "s": _symbol(spec.pair),
            "i": interval,
            "f": bar.first_id if bar.trades else -1,
            "L": bar.first_id + bar.trades - 1 if bar.trades else -1,
            "o": price(bar.open),
            "c": price(bar.close),
            "h": price(bar.high),
            "l": price(bar.low),
            "v": _text(bar.lots, spec.volume_decimals),
            "n": bar.trades,
            "x": closed,
            "q": _quote(spec, bar.quote),
            "V": _text(bar.buy_lots, spec.volume_decimals),
            "Q": _quote(spec, bar.buy_quote),
            "B": "0",
        },
    }


def _rest_bar(spec: Spec, bar: Bar, length: int) -> list[Any]:
    return [
        bar.start * 1000,
        *(_text(tick, spec.price_decimals) for tick in (bar.open, bar.high, bar.low, bar.close)),
        _text(bar.lots, spec.volume_decimals),
        (bar.start + length) * 1000 - 1,
        _quote(spec, bar.quote),
        bar.trades,
        _text(bar.buy_lots, spec.volume_decimals),
        _quote(spec, bar.buy_quote),
        "0",
    ]


def _rest_trade(spec: Spec, row: Row) -> dict[str, Any]:
    trade_id, instant, tick, lots, buy = row
    return {
        "id": trade_id,
        "price": _text(tick, spec.price_decimals),
        "qty": _text(lots, spec.volume_decimals),
        "quoteQty": _quote(spec, tick * lots),
        "time": instant // _MILLI,
        "isBuyerMaker": not buy,
        "isBestMatch": True,
    }


def _rest_ticker(feed: Feed, day: Statistics, now: int) -> dict[str, Any]:
    event = _ticker_event(feed.spec, day, now // _MILLI)
    names = {
        "symbol": "s",
        "priceChange": "p",
        "priceChangePercent": "P",
        "weightedAvgPrice": "w",
        "prevClosePrice": "x",
        "lastPrice": "c",
        "lastQty": "Q",
        "bidPrice": "b",
        "bidQty": "B",
        "askPrice": "a",
        "askQty": "A",
        "openPrice": "o",
        "highPrice": "h",
        "lowPrice": "l",
        "volume": "v",
        "quoteVolume": "q",
        "openTime": "O",
        "closeTime": "C",
        "firstId": "F",
        "lastId": "L",
        "count": "n",
    }
    return {name: event[short] for name, short in names.items()}


def _ticker_price_body(spec: Spec, day: Statistics) -> dict[str, Any]:
    return {"symbol": _symbol(spec.pair), "price": _text(day.last, spec.price_decimals)}


def _book_body(spec: Spec, day: Statistics) -> dict[str, Any]:
    event = _ticker_event(spec, day, 0)
    names = {"symbol": "s", "bidPrice": "b", "bidQty": "B", "askPrice": "a", "askQty": "A"}
    return {name: event[short] for name, short in names.items()}


def _symbol_info(spec: Spec) -> dict[str, Any]:
    tick, lot = _text(1, spec.price_decimals), _text(1, spec.volume_decimals)
    return {
        "symbol": _symbol(spec.pair),
        "status": "TRADING",
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }
