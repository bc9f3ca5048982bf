"""Binance spot: combined streams and the REST interface (https://developers.binance.com/docs/binance-spot-api-docs).

Streams write symbols without a separator (btcusdt, BTCUSDT): only the configured pairs can be told apart. Trade ids
(`t` of ``@trade``, `f` to `l` of ``@aggTrade``) are consecutive per symbol. `m` true: the buyer made the offer, so
the taker sold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from cryptoviz.exchanges.adapter import (
    BROKEN,
    ClosingSoon,
    Event,
    FrameError,
    Ignored,
    Refused,
    Request,
    Subscribed,
    TradeId,
    Traits,
    UnknownPair,
    UnknownPairError,
)
from cryptoviz.exchanges.binance.spec import BINANCE
from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle, CandleSource, Record, Side, Ticker, Trade
from cryptoviz.remote.rest import RestClient, RestError, TemporaryError

CHANNELS: Final = ("trade", "ticker", "kline_1m")
_PAGE: Final = 1000
_LIFETIME_S: Final = 24 * 3600 - 600
_MICROSECONDS_FROM: Final = 10**14
_INVALID_SYMBOL: Final = -1121
_MILLISECONDS: Final = tuple(timedelta(milliseconds=number) for number in range(1000))


class _WireTrade(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    s: str
    t: TradeId
    p: Decimal
    q: Decimal
    T: int
    m: bool


class _WireAggTrade(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    s: str
    p: Decimal
    q: Decimal
    f: TradeId
    l: TradeId  # noqa: E741 - the exchange's own field name
    T: int
    m: bool


class _WireTicker(msgspec.Struct, tag_field="e", tag="24hrTicker", gc=False):
    E: int
    s: str
    P: Decimal
    c: Decimal
    b: Decimal
    a: Decimal
    v: Decimal


class _WireKline(msgspec.Struct, gc=False):
    t: int
    i: str
    o: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the exchange's own field name
    v: Decimal
    n: TradeId
    x: bool


class _WireKlineEvent(msgspec.Struct, tag_field="e", tag="kline", gc=False):
    s: str
    k: _WireKline


class _WireDepth(msgspec.Struct, tag_field="e", tag="depthUpdate", gc=False):
    s: str
    U: int
    u: int
    b: list[tuple[Decimal, Decimal]]
    a: list[tuple[Decimal, Decimal]]


class _WireShutdown(msgspec.Struct, tag_field="e", tag="serverShutdown", gc=False):
    pass


class _WireBookTicker(msgspec.Struct, gc=False):
    """Best bid and ask; the only market event without a type and a time."""

    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


_WireEvent = _WireTrade | _WireAggTrade | _WireTicker | _WireKlineEvent | _WireDepth | _WireShutdown


class _CombinedTrade(msgspec.Struct, gc=False):
    data: _WireTrade


class _CombinedAggTrade(msgspec.Struct, gc=False):
    data: _WireAggTrade


class _CombinedTicker(msgspec.Struct, gc=False):
    data: _WireTicker


class _CombinedKline(msgspec.Struct, gc=False):
    data: _WireKlineEvent


class _CombinedDepth(msgspec.Struct, gc=False):
    data: _WireDepth


class _CombinedBookTicker(msgspec.Struct, gc=False):
    data: _WireBookTicker


class _Other(msgspec.Struct):
    """Everything that is not a typed market event: answers to requests, errors, book tickers, raw streams."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    code: int | None = None
    msg: str = ""
    error: dict[str, Any] = {}


_others: Final = msgspec.json.Decoder(_Other)
_events: Final = msgspec.json.Decoder(_WireEvent)
_book_tickers: Final = msgspec.json.Decoder(_WireBookTicker)
_BAD: Final = (ValueError, OverflowError, OSError, *BROKEN)
_NAME_AT: Final = len('{"stream":"')


class _RestTrade(
    msgspec.Struct, rename={"t": "id", "p": "price", "q": "qty", "T": "time", "m": "isBuyerMaker"}, gc=False
):
    """The fields of a trade under the names that they have on the socket."""

    t: TradeId
    p: Decimal
    q: Decimal
    T: int
    m: bool


class _RestProblem(msgspec.Struct):
    code: int
    msg: str = ""


_rest_trades: Final = msgspec.json.Decoder(list[_RestTrade])
_rest_problems: Final = msgspec.json.Decoder(_RestProblem)
_Builder = Callable[[Any, str, datetime], list[Record] | Event]
_MINUTE: Final = timedelta(minutes=1)
_BOOK: Final = Ignored("update of the order book; only trades, tickers and candles are collected")
_QUOTE: Final = Ignored("best bid and ask; the ticker is collected")
# A member looked up in its class costs as much as the rest of a field.
_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_M1: Final = Timeframe.M1
_STREAM: Final = CandleSource.STREAM


class BinanceFeed:
    """Binance spot as a source."""

    name = BINANCE.name

    def __init__(self, pairs: Sequence[str]) -> None:
        self.pairs = list(pairs)
        self.traits = Traits(
            heartbeats=False,
            implicit=True,
            lifetime_s=_LIFETIME_S,
            requests_per_s=3,
            channels=CHANNELS,
        )
        self._pair_of = {symbol(pair): pair for pair in pairs}
        self._stream_of = {
            f"{symbol(pair).lower()}@{channel}".encode(): (decoder.decode, build, symbol(pair), pair)
            for pair in pairs
            for channel, (decoder, build) in _STREAMS.items()
        }
        self._requests = 0

    def address(self, base: str) -> str:
        """The combined streams of all pairs, named in the address: subscribed from the first moment."""
        return f"{base}/stream?streams={'/'.join(self._streams(self.pairs))}"

    def subscribe(self, pairs: Sequence[str]) -> list[Request]:
        """One message per pair, so that a refusal concerns that pair only."""
        return [self._request("SUBSCRIBE", pair) for pair in pairs]

    def unsubscribe(self, pairs: Sequence[str]) -> list[Request]:
        """One message per pair."""
        return [self._request("UNSUBSCRIBE", pair) for pair in pairs]

    def _request(self, method: str, pair: str) -> Request:
        self._requests += 1
        body = {"method": method, "params": list(self._streams([pair])), "id": self._requests}
        channels = tuple((channel, pair) for channel in CHANNELS) if method == "SUBSCRIBE" else ()
        return Request(msgspec.json.encode(body).decode(), channels, self._requests)

    def _streams(self, pairs: Sequence[str]) -> list[str]:
        return [f"{symbol(pair).lower()}@{channel}" for pair in pairs for channel in CHANNELS]

    def parse(self, frame: bytes, received_at: datetime) -> list[Record] | Event:
        """The records or the event in a frame.

        Raises:
            FrameError: not JSON, or not what the exchange documents.
        """
        # {"stream":"btcusdt@trade","data":{...}}: the name tells what follows, and of which pair.
        stream = self._stream_of.get(frame[_NAME_AT : frame.find(b'"', _NAME_AT)])
        if stream is not None:
            decode, build, name, pair = stream
            try:
                event = decode(frame).data
                if event.s == name:
                    return build(event, pair, received_at)
            except _BAD:
                pass  # said with its reason below
        return self._parse_other(frame, received_at)

    def _records(self, event: _WireEvent | _WireBookTicker, received_at: datetime) -> list[Record] | Event:
        if isinstance(event, _WireShutdown):
            return ClosingSoon()
        pair = self._pair_of.get(event.s)
        if pair is None:
            return UnknownPair(event.s)
        try:
            return _BUILDERS[type(event)](event, pair, received_at)
        except (ValueError, OverflowError, OSError) as error:
            raise FrameError("invalid", str(error)) from None

    def _parse_other(self, frame: bytes, received_at: datetime) -> list[Record] | Event:
        try:
            other = _others.decode(frame)
        except msgspec.ValidationError as error:
            raise FrameError("invalid", str(error)) from None
        except BROKEN as error:
            raise FrameError("undecodable", str(error)) from None
        if other.code is not None or other.error:
            reason = other.msg or str(other.error.get("msg", other.error))
            return Refused(reason, request=other.id if isinstance(other.id, int) else None)
        if bytes(other.result) == b"null" and isinstance(other.id, int):
            return Subscribed(request=other.id)
        if other.stream == "!serverShutdown":
            return ClosingSoon()
        try:
            if other.stream.endswith("@bookTicker"):
                return self._records(_book_tickers.decode(other.data), received_at)
            if other.e or other.stream:
                return self._records(_events.decode(frame if other.e else other.data), received_at)
        except BROKEN as error:
            raise FrameError("invalid", str(error)) from None
        raise FrameError("unknown_frame", "neither a stream nor an answer to a request")

    async def newest(self, rest: RestClient, pair: str) -> Trade | None:
        """The newest trade according to REST."""
        found = await self._rest_trades(rest, "/api/v3/trades", {"symbol": symbol(pair), "limit": 1}, pair)
        return found[-1] if found else None

    async def trades(
        self,
        rest: RestClient,
        pair: str,
        first_id: int,
        last_id: int,
        since: datetime,  # noqa: ARG002 - Binance pages by id
    ) -> AsyncIterator[list[Trade]]:
        """Pages by id: `fromId` is inclusive."""
        following = first_id
        while following <= last_id:
            # A full page costs no more than one trade, and may fill the pair's next gaps, too.
            params: dict[str, str | int] = {"symbol": symbol(pair), "fromId": following, "limit": _PAGE}
            page = await self._rest_trades(rest, "/api/v3/historicalTrades", params, pair)
            if not page or page[-1].trade_id < following:
                return
            yield page
            following = page[-1].trade_id + 1

    async def _rest_trades(self, rest: RestClient, path: str, params: dict[str, str | int], pair: str) -> list[Trade]:
        return await rest.get(path, params, lambda status, body: rest_trades(pair, status, body), weight=25)


def rest_trades(pair: str, status: int, body: bytes) -> list[Trade]:
    """The trades in an answer of the endpoints trades and historicalTrades, oldest first.

    Raises:
        RestError: the answer is an error, or none at all; `TemporaryError` where asking again may help.
    """
    rows = _checked(status, body)
    received_at = datetime.now(UTC)
    try:
        return [_made(row, row.t, pair, received_at) for row in rows]
    except (ValueError, OverflowError) as error:
        raise RestError(f"trades of {pair}: {error}") from None


def _made(wire: _WireTrade | _WireAggTrade | _RestTrade, trade_id: int, pair: str, received_at: datetime) -> Trade:
    return Trade(
        received_at=received_at,
        timestamp=instant(wire.T),
        exchange=BINANCE.name,
        pair=pair,
        price=wire.p,
        volume=wire.q,
        side=_SELL if wire.m else _BUY,
        trade_id=trade_id,
    )


def _trade(wire: _WireTrade, pair: str, received_at: datetime) -> list[Record] | Event:
    return [_made(wire, wire.t, pair, received_at)]


def _aggregate(wire: _WireAggTrade, pair: str, received_at: datetime) -> list[Record] | Event:
    if wire.f != wire.l:
        return Ignored("aggregate of several trades; single trades are collected")
    return [_made(wire, wire.f, pair, received_at)]


def _ticker(wire: _WireTicker, pair: str, received_at: datetime) -> list[Record] | Event:
    return [
        Ticker(
            received_at=received_at,
            timestamp=instant(wire.E),
            exchange=BINANCE.name,
            pair=pair,
            last=wire.c,
            bid=wire.b,
            ask=wire.a,
            volume_24h=wire.v,
            pct_change=wire.P,
        )
    ]


def _candle(event: _WireKlineEvent, pair: str, received_at: datetime) -> list[Record] | Event:
    wire = event.k
    if wire.i != _M1:
        return Ignored(f"candles of {wire.i} are not collected live")
    start, end = _minute_from(wire.t)
    return [
        Candle(
            received_at=received_at,
            window_start=start,
            window_end=end,
            exchange=BINANCE.name,
            symbol=pair,
            timeframe=_M1,
            open=wire.o,
            high=wire.h,
            low=wire.l,
            close=wire.c,
            volume=wire.v,
            trade_count=wire.n,
            closed=wire.x,
            source=_STREAM,
        )
    ]


def _depth(_wire: _WireDepth, _pair: str, _received_at: datetime) -> list[Record] | Event:
    return _BOOK


def _book_ticker(_wire: _WireBookTicker, _pair: str, _received_at: datetime) -> list[Record] | Event:
    return _QUOTE


# What the name of a stream promises, and what becomes of it.
_STREAMS: Final[dict[str, tuple[msgspec.json.Decoder[Any], _Builder]]] = {
    "trade": (msgspec.json.Decoder(_CombinedTrade), _trade),
    "aggTrade": (msgspec.json.Decoder(_CombinedAggTrade), _aggregate),
    "ticker": (msgspec.json.Decoder(_CombinedTicker), _ticker),
    "kline_1m": (msgspec.json.Decoder(_CombinedKline), _candle),
    "depth": (msgspec.json.Decoder(_CombinedDepth), _depth),
    "depth@100ms": (msgspec.json.Decoder(_CombinedDepth), _depth),
    "bookTicker": (msgspec.json.Decoder(_CombinedBookTicker), _book_ticker),
}
_BUILDERS: Final[dict[type, _Builder]] = {
    _WireTrade: _trade,
    _WireAggTrade: _aggregate,
    _WireTicker: _ticker,
    _WireKlineEvent: _candle,
    _WireDepth: _depth,
    _WireBookTicker: _book_ticker,
}


@lru_cache(maxsize=4096)
def symbol(pair: str) -> str:
    """A pair as Binance writes it: BTCUSDT.

    Raises:
        UnspelledPairError: what the pair is called means another coin there.
    """
    return BINANCE.spellings.spelling(BINANCE.name, pair).rest


def instant(value: int) -> datetime:
    """A time in milliseconds, or in microseconds where the connection asked for them."""
    if value < _MICROSECONDS_FROM:
        second, rest = divmod(value, 1000)
        return _start_of(second) + _MILLISECONDS[rest]
    second, rest = divmod(value, 1_000_000)
    return _start_of(second) + timedelta(microseconds=rest)


@lru_cache(maxsize=256)
def _minute_from(value: int) -> tuple[datetime, datetime]:
    start = instant(value)
    return start, start + _MINUTE


@lru_cache(maxsize=256)
def _start_of(second: int) -> datetime:
    # Building an aware instant costs more than adding to one, and many events share a second.
    return datetime.fromtimestamp(second, UTC)


def _checked(status: int, body: bytes) -> list[_RestTrade]:
    try:
        return _rest_trades.decode(body)
    except BROKEN as error:
        try:
            problem = _rest_problems.decode(body)
        except BROKEN:
            raise TemporaryError(f"status {status}, not an answer: {error}") from None
    if problem.code == _INVALID_SYMBOL:
        raise UnknownPairError(problem.msg)
    if problem.code in {-1000, -1001, -1003, -1006, -1007, -1008}:
        raise TemporaryError(f"{problem.code}: {problem.msg}")
    raise RestError(f"{problem.code}: {problem.msg}")
