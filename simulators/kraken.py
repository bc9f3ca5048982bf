"""Kraken as its clients see it: WebSocket v2 at ``/kraken/v2``, REST at ``/kraken/0/public``.

Protocol: https://docs.kraken.com/api/docs/websocket-v2/ and https://docs.kraken.com/api/docs/rest-api/. Public parts
only: channels status, heartbeat, ticker, trade, ohlc (one minute), instrument, ping; endpoints Time, SystemStatus,
Assets, AssetPairs, Ticker, OHLC, Trades. Order books are not simulated: subscribing to one is refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from aiohttp import web

from simulators.exchange import HTML_PAGE, Exchange, Feed, Row, Session, Statistics, json, seconds_text, text_frame
from simulators.faults import Kind, Order
from simulators.market import DAY, HOUR, MINUTE, SECOND, Bar, Spec, decimal

_PRICE_DECIMALS: Final = {"BTC": 1, "ETH": 2, "SOL": 2, "XRP": 5, "DOGE": 7, "ADA": 6, "LTC": 2, "DOT": 4}
_LEGACY: Final = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "DOGE": "XXDG"}
_LEGACY_QUOTES: Final = {"USD": "ZUSD", "EUR": "ZEUR", "GBP": "ZGBP"}
_ALTNAMES: Final = {"BTC": "XBT", "DOGE": "XDG", "LUNC": "LUNA", "LUNA": "LUNA2", "USTC": "UST"}
_STREAM_NAMES: Final = {"LUNC": "LUNA", "LUNA": "LUNA2", "USTC": "UST"}
_PAIR_ALTNAMES: Final = {"DOGE"}
_CHANNELS: Final = ("ticker", "trade", "ohlc")
_TIMEFRAMES: Final = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "1d": DAY}
_INTERVALS: Final = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_SNAPSHOT_TRADES: Final = 50
_MOST_TRADES: Final = 1000
_MOST_BARS: Final = 720
_HEARTBEAT_S: Final = 1.0
_LIMIT_BURST: Final = 15
_ISO_MINUTE: Final = "%Y-%m-%dT%H:%M:00.000000000Z"

_ERRORS: Final = {
    Kind.RATE_LIMIT: "EGeneral:Too many requests",
    Kind.BAN: "EGeneral:Temporary lockout",
    Kind.ERROR_BODY: "EService:Unavailable",
    Kind.MAINTENANCE: "EService:Unavailable",
}


def iso(nanoseconds: int) -> str:
    """An instant as Kraken writes it: RFC 3339 with microseconds and Z."""
    whole, rest = divmod(nanoseconds, SECOND)
    return f"{_iso_second(whole)}.{rest // 1000:06d}Z"


_seconds: dict[int, str] = {}


def _iso_second(second: int) -> str:
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) > 1000:
            _seconds.clear()
        text = _seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text


def _wire(message: Any) -> bytes:
    return msgspec.json.encode(message)


def _number(text: str) -> msgspec.Raw:
    """A JSON number with exactly these digits."""
    return msgspec.Raw(text.encode())


class SimulatedKraken(Exchange):
    """The simulated Kraken."""

    name = "kraken"
    rest_path = "/public/"
    caused_by_trades = ("trade", "ticker", "ohlc")

    def __init__(self, pairs: list[str], *, seed: int, rate: float) -> None:
        super().__init__(pairs, seed=seed, rate=rate)
        self._rest_names = {spelling: pair for pair in pairs for spelling in _spellings(pair)}
        self._symbols = {_symbol(pair): pair for pair in pairs}
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
        return _wire({"channel": "status", "type": "update", "data": [data]})

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
                _wire({"error": "Malformed request", "success": False, "time_in": time_in, "time_out": time_in})
            )
            return
        request_id = {"req_id": body["req_id"]} if "req_id" in body else {}
        if method == "ping":
            session.send(_wire({"method": "pong", **request_id, "time_in": time_in, "time_out": iso(time.time_ns())}))
        elif method in {"subscribe", "unsubscribe"}:
            for answer in self._requested(session, method, body.get("params") or {}):
                stamps = {"time_in": time_in, "time_out": iso(time.time_ns())}
                session.send(_wire({"method": method, **answer, **stamps, **request_id}))
                if method == "subscribe" and answer["success"]:
                    self._snapshot(session, answer["result"])
        else:
            stamps = {"time_in": time_in, "time_out": iso(time.time_ns())}
            error = {"error": "Method(s) not found", "method": method, "success": False}
            session.send(_wire({**error, **request_id, **stamps}))

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
            session.send(_wire({"channel": "instrument", "type": "snapshot", "data": self._instruments()}))
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
        session.send(_trade_message(feed.spec, rows, "snapshot"))

    def _instruments(self) -> dict[str, Any]:
        coins = dict.fromkeys(coin for name in self._symbols for coin in reversed(name.split("/")))
        return {"assets": [_ws_asset(coin) for coin in coins], "pairs": [_ws_pair(f.spec) for f in self.feeds.values()]}

    def publish(self, feed: Feed, rows: list[Row]) -> None:
        """One trade message for the batch, then one ticker and one candle as they are after it."""
        pair = feed.spec.pair
        if sessions := self.listeners("trade", pair):
            frame = text_frame(_trade_message(feed.spec, rows, "update"))
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
        frame = text_frame(_ticker_message(feed.spec, day, kind))
        for session in sessions:
            session.write(frame)
        feed.counters.ticker(day.last_time)

    def _send_candle(self, feed: Feed, kind: str, now: int, sessions: list[Session]) -> None:
        minute = (now - 1) // SECOND // MINUTE * MINUTE
        for bar in feed.series.bars(MINUTE, minute, minute + MINUTE, now):
            if bar.trades:
                frame = text_frame(_ohlc_message(feed.spec, bar, kind))
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
            self._tell_status()
            if order.duration_s is not None:
                self.later(order.duration_s + 0.01, self._tell_status)

    def _tell_status(self) -> None:
        for session in list(self.sessions):
            session.send(self._status())

    def broken_frame(self, feed: Feed, row: Row, variant: int) -> bytes:
        """Cut JSON, a missing field, a wrong type, an impossible value."""
        text = _trade_message(feed.spec, [row], "update")
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
        return self._refused(request) or _result({_asset_id(coin): _rest_asset(coin) for coin in coins})

    async def _asset_pairs(self, request: web.Request) -> web.Response:
        feeds = self._asked(request)
        if feeds is None:
            return _unknown_pair()
        return self._refused(request) or _result({_rest_id(f.spec.pair): _rest_pair(f.spec) for f in feeds})

    def _asked(self, request: web.Request) -> list[Feed] | None:
        names = request.query.get("pair", "")
        if not names:
            return list(self.feeds.values())
        pairs = [self._rest_names.get(name.upper()) for name in names.split(",")]
        return None if None in pairs else [self.feeds[pair] for pair in pairs if pair]

    async def _ticker(self, request: web.Request) -> web.Response:
        feeds = self._asked(request)
        if feeds is None:
            return _unknown_pair()
        result = {}
        for feed in feeds:
            day = feed.statistics(self.now(feed))
            if day is not None:
                result[_rest_id(feed.spec.pair)] = _rest_ticker(feed, day, self.now(feed))
        return self._refused(request) or _result(result)

    async def _ohlc(self, request: web.Request) -> web.Response:
        feeds = self._asked(request)
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
        rows = [_rest_bar(feed.spec, bar) for bar in bars]
        last = bars[-2].start if len(bars) > 1 else committed
        return self._refused(request) or _result({_rest_id(feed.spec.pair): rows, "last": last})

    async def _trades(self, request: web.Request) -> web.Response:
        feeds = self._asked(request)
        if not request.query.get("pair") or feeds is None:
            return _unknown_pair()
        try:
            count = min(max(int(request.query.get("count", _MOST_TRADES)), 1), _MOST_TRADES)
            since = _nanoseconds(request.query["since"]) if "since" in request.query else None
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
        return _result(
            {_rest_id(feed.spec.pair): [_rest_trade(feed.spec, row) for row in rows], "last": str(last_time)}
        )


def _nanoseconds(since: str) -> int:
    """Kraken takes seconds as well as nanoseconds; nobody asks for the year 292 billion."""
    whole, _, fraction = since.partition(".")
    value = int(whole)
    if value < 10**12:
        return value * SECOND + int((fraction + "0" * 9)[:9])
    return value


def _trade_message(spec: Spec, rows: list[Row], kind: str) -> bytes:
    price_decimals = spec.price_decimals
    head = f'{{"symbol":"{_symbol(spec.pair)}","side":"'
    previous, price = -1, ""
    items = []
    for trade_id, instant, tick, lots, buy in rows:
        if tick != previous:
            previous, price = tick, decimal(tick, price_decimals)
        second, rest = divmod(instant, SECOND)
        whole, part = divmod(lots, 100_000_000)
        items.append(
            f'{head}{"buy" if buy else "sell"}","price":{price},"qty":{whole}.{part:08d},'
            f'"ord_type":"{"limit" if trade_id % 3 else "market"}","trade_id":{trade_id},'
            f'"timestamp":"{_iso_second(second)}.{rest // 1000:06d}Z"}}'
        )
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(items)}]}}'.encode()


def _ticker_message(spec: Spec, day: Statistics, kind: str) -> bytes:
    price, volume = spec.price, spec.volume
    average = f"{day.average / 10**spec.price_decimals:.{spec.price_decimals + 1}f}"
    change = day.last - day.open
    sign = "-" if change < 0 else ""
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{_symbol(spec.pair)}",'
        f'"bid":{price(max(day.last - 1, 1))},'
        f'"bid_qty":{volume(day.last_lots * 3)},"ask":{price(day.last + 1)},"ask_qty":{volume(day.last_lots * 2)},'
        f'"last":{price(day.last)},"volume":{volume(day.lots)},"vwap":{average},"low":{price(day.low)},'
        f'"high":{price(day.high)},"change":{sign}{price(abs(change))},"change_pct":{day.change_percent:.2f},'
        f'"timestamp":"{iso(day.last_time)}"}}]}}'
    ).encode()


def _ohlc_message(spec: Spec, bar: Bar, kind: str) -> bytes:
    begin = datetime.fromtimestamp(bar.start, UTC).strftime(_ISO_MINUTE)
    data = {
        "symbol": _symbol(spec.pair),
        "open": _number(spec.price(bar.open)),
        "high": _number(spec.price(bar.high)),
        "low": _number(spec.price(bar.low)),
        "close": _number(spec.price(bar.close)),
        "trades": bar.trades,
        "volume": _number(spec.volume(bar.lots)),
        "vwap": _number(_average(spec, bar)),
        "interval_begin": begin,
        "interval": 1,
    }
    stamp = iso((bar.start + MINUTE) * SECOND)
    return _wire({"channel": "ohlc", "type": kind, "timestamp": stamp, "data": [data]})


def _average(spec: Spec, bar: Bar) -> str:
    """The volume-weighted average price, rounded half up to the tick: integer arithmetic, so exactly."""
    return spec.price((2 * bar.quote + bar.lots) // (2 * bar.lots)) if bar.lots else "0.0"


def _asset_id(coin: str) -> str:
    return _LEGACY.get(coin) or _LEGACY_QUOTES.get(coin) or _STREAM_NAMES.get(coin, coin)


def _altname(pair: str) -> str:
    base, _, quote = pair.partition("/")
    return _ALTNAMES.get(base, base) + _ALTNAMES.get(quote, quote)


def _rest_id(pair: str) -> str:
    """Kraken's own name of a pair: legacy assets against legacy quotes carry their X and Z."""
    base, _, quote = pair.partition("/")
    if base in _LEGACY and quote in _LEGACY_QUOTES and base not in _PAIR_ALTNAMES:
        return _LEGACY[base] + _LEGACY_QUOTES[quote]
    return _altname(pair)


def _ws_name_v1(pair: str) -> str:
    return "/".join(_ALTNAMES.get(coin, coin) for coin in pair.split("/"))


def _spellings(pair: str) -> set[str]:
    symbol = _symbol(pair)
    return {_rest_id(pair), _altname(pair), _ws_name_v1(pair), symbol, symbol.replace("/", "")}


@lru_cache(maxsize=1024)
def _symbol(pair: str) -> str:
    """A pair in WebSocket v2: BTC and DOGE as everybody writes them, the Terra coins under Kraken's old names."""
    return "/".join(_STREAM_NAMES.get(coin, coin) for coin in pair.split("/"))


def _ws_asset(coin: str) -> dict[str, Any]:
    precision = {"USD": 4, "EUR": 4}.get(coin, 10 if coin == "BTC" else 8)
    return {
        "id": coin,
        "status": "enabled",
        "precision": precision,
        "precision_display": 2 if coin in {"USD", "EUR"} else 5,
        "borrowable": True,
        "collateral_value": 1.0,
        "margin_rate": 0.02,
    }


def _ws_pair(spec: Spec) -> dict[str, Any]:
    increment = _number(decimal(1, spec.price_decimals))
    symbol = _symbol(spec.pair)
    base, _, quote = symbol.partition("/")
    return {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "status": "online",
        "qty_precision": spec.volume_decimals,
        "qty_increment": _number("0.00000001"),
        "price_precision": spec.price_decimals,
        "cost_precision": 5,
        "marginable": True,
        "has_index": True,
        "cost_min": 0.5,
        "margin_initial": 0.2,
        "position_limit_long": 300,
        "position_limit_short": 240,
        "tick_size": increment,
        "price_increment": increment,
        "qty_min": 0.0001,
    }


def _rest_asset(coin: str) -> dict[str, Any]:
    return {
        "aclass": "currency",
        "altname": _ALTNAMES.get(coin, coin),
        "decimals": 4 if coin in _LEGACY_QUOTES else 10,
        "display_decimals": 2 if coin in _LEGACY_QUOTES else 5,
        "status": "enabled",
    }


def _rest_pair(spec: Spec) -> dict[str, Any]:
    return {
        "altname": _altname(spec.pair),
        "wsname": _ws_name_v1(spec.pair),
        "aclass_base": "currency",
        "base": _asset_id(spec.base),
        "aclass_quote": "currency",
        "quote": _asset_id(spec.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": spec.price_decimals,
        "lot_decimals": spec.volume_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3, 4, 5],
        "leverage_sell": [2, 3, 4, 5],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25], [10000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": decimal(1, spec.price_decimals),
        "status": "online",
        "long_position_limit": 80,
        "short_position_limit": 80,
    }


def _rest_price(spec: Spec, tick: int) -> str:
    """REST writes trade prices with at least five decimals."""
    missing = max(5 - spec.price_decimals, 0)
    return decimal(tick * 10**missing, spec.price_decimals + missing)


def _rest_trade(spec: Spec, row: Row) -> list[Any]:
    trade_id, instant, tick, lots, buy = row
    kind = "l" if trade_id % 3 else "m"
    stamp = _number(seconds_text(instant))
    return [_rest_price(spec, tick), spec.volume(lots), stamp, "b" if buy else "s", kind, "", trade_id]


def _rest_bar(spec: Spec, bar: Bar) -> list[Any]:
    prices = [spec.price(tick) for tick in (bar.open, bar.high, bar.low, bar.close)]
    return [bar.start, *prices, _average(spec, bar), spec.volume(bar.lots), bar.trades]


def _rest_ticker(feed: Feed, day: Statistics, now: int) -> dict[str, Any]:
    spec = feed.spec
    midnight = now // SECOND // DAY * DAY
    today = [bar for bar in feed.series.bars(DAY, midnight, midnight + DAY, now) if bar.start == midnight][:1]
    bar = today[0] if today else Bar(midnight, day.last, day.last, day.last, day.last, 0, 0, 0, 0, 0, 0)

    def price(tick: int) -> str:
        return _rest_price(spec, tick)

    average = f"{day.average / 10**spec.price_decimals:.5f}"
    return {
        "a": [price(day.last + 1), "1", "1.000"],
        "b": [price(max(day.last - 1, 1)), "1", "1.000"],
        "c": [price(day.last), spec.volume(day.last_lots)],
        "v": [spec.volume(bar.lots), spec.volume(day.lots)],
        "p": [_average(spec, bar), average],
        "t": [bar.trades, day.count],
        "l": [price(bar.low), price(day.low)],
        "h": [price(bar.high), price(day.high)],
        "o": price(bar.open),
    }


def _result(result: Any) -> web.Response:
    return json({"error": [], "result": result})


def _unknown_pair() -> web.Response:
    return json({"error": ["EQuery:Unknown asset pair"]})
