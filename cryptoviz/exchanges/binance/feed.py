"""Binance spot: combined streams and the REST interface (https://developers.binance.com/docs/binance-spot-api-docs).

    frame -> name of its stream -> decoder of `wire`, builder, pair -> record

Streams write symbols without a separator (btcusdt, BTCUSDT): only the configured pairs can be told apart. `wire` says
what each field means.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
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
    Traits,
    UnknownPair,
    UnknownPairError,
)
from cryptoviz.exchanges.binance import wire
from cryptoviz.exchanges.binance.spec import BINANCE
from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle, CandleSource, Record, Side, Ticker, Trade
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.remote.rest import RestClient

CHANNELS: Final = ("trade", "ticker", "kline_1m")
_PAGE: Final = 1000
_LIFETIME_S: Final = 24 * 3600 - 600
_MICROSECONDS_FROM: Final = 10**14
_INVALID_SYMBOL: Final = -1121
_MILLISECONDS: Final = tuple(timedelta(milliseconds=number) for number in range(1000))


_BAD: Final = (ValueError, OverflowError, OSError, *BROKEN)
_NAME_AT: Final = len('{"stream":"')


_Builder = Callable[[Any, str, datetime], list[Record] | Event]
_MINUTE: Final = timedelta(minutes=1)
_BOOK: Final = Ignored("update of the order book; only trades, tickers and candles are collected")
_QUOTE: Final = Ignored("best bid and ask; the ticker is collected")
# A member looked up in its class costs as much as the rest of a field.
_NAME: Final = BINANCE.name
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
                if event.symbol == name:
                    return build(event, pair, received_at)
            except _BAD:
                pass  # said with its reason below
        return self._parse_other(frame, received_at)

    def _records(self, event: wire.Event | wire.BookTicker, received_at: datetime) -> list[Record] | Event:
        if isinstance(event, wire.ShutdownEvent):
            return ClosingSoon()
        pair = self._pair_of.get(event.symbol)
        if pair is None:
            return UnknownPair(event.symbol)
        try:
            return _BUILDERS[type(event)](event, pair, received_at)
        except (ValueError, OverflowError, OSError) as error:
            raise FrameError("invalid", str(error)) from None

    def _parse_other(self, frame: bytes, received_at: datetime) -> list[Record] | Event:
        try:
            other = wire.others.decode(frame)
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
                return self._records(wire.book_tickers.decode(other.data), received_at)
            if other.event_type or other.stream:
                return self._records(wire.events.decode(frame if other.event_type else other.data), received_at)
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
        RemoteError: the answer is an error, or none at all; `TransientError` where asking again may help.
    """
    rows = _checked(status, body)
    received_at = datetime.now(UTC)
    try:
        return [_made(row, row.trade_id, pair, received_at) for row in rows]
    except (ValueError, OverflowError) as error:
        raise PermanentError(f"trades of {pair}: {error}") from None


def _made(
    given: wire.TradeEvent | wire.AggregateEvent | wire.RestTrade, trade_id: int, pair: str, received_at: datetime
) -> Trade:
    return Trade(
        received_at=received_at,
        timestamp=instant(given.traded_at),
        exchange=_NAME,
        pair=pair,
        price=given.price,
        volume=given.quantity,
        side=_SELL if given.buyer_is_maker else _BUY,
        trade_id=trade_id,
    )


def _trade(event: wire.TradeEvent, pair: str, received_at: datetime) -> list[Record] | Event:
    return [_made(event, event.trade_id, pair, received_at)]


def _aggregate(event: wire.AggregateEvent, pair: str, received_at: datetime) -> list[Record] | Event:
    if event.first_trade_id != event.last_trade_id:
        return Ignored("aggregate of several trades; single trades are collected")
    return [_made(event, event.first_trade_id, pair, received_at)]


def _ticker(event: wire.TickerEvent, pair: str, received_at: datetime) -> list[Record] | Event:
    return [
        Ticker(
            received_at=received_at,
            timestamp=instant(event.sent_at),
            exchange=_NAME,
            pair=pair,
            last=event.last,
            bid=event.bid,
            ask=event.ask,
            volume_24h=event.volume,
            pct_change=event.change_percent,
        )
    ]


def _candle(event: wire.KlineEvent, pair: str, received_at: datetime) -> list[Record] | Event:
    kline = event.candle
    if kline.interval != _M1:
        return Ignored(f"candles of {kline.interval} are not collected live")
    start, end = _minute_from(kline.opened_at)
    return [
        Candle(
            received_at=received_at,
            window_start=start,
            window_end=end,
            exchange=_NAME,
            symbol=pair,
            timeframe=_M1,
            open=kline.open,
            high=kline.high,
            low=kline.low,
            close=kline.close,
            volume=kline.volume,
            trade_count=kline.trades,
            closed=kline.closed,
            source=_STREAM,
        )
    ]


def _depth(_event: wire.DepthEvent, _pair: str, _received_at: datetime) -> list[Record] | Event:
    return _BOOK


def _book_ticker(_event: wire.BookTicker, _pair: str, _received_at: datetime) -> list[Record] | Event:
    return _QUOTE


# What the name of a stream promises, and what becomes of it.
_STREAMS: Final[dict[str, tuple[msgspec.json.Decoder[Any], _Builder]]] = {
    "trade": (msgspec.json.Decoder(wire.CombinedTrade), _trade),
    "aggTrade": (msgspec.json.Decoder(wire.CombinedAggregate), _aggregate),
    "ticker": (msgspec.json.Decoder(wire.CombinedTicker), _ticker),
    "kline_1m": (msgspec.json.Decoder(wire.CombinedKline), _candle),
    "depth": (msgspec.json.Decoder(wire.CombinedDepth), _depth),
    "depth@100ms": (msgspec.json.Decoder(wire.CombinedDepth), _depth),
    "bookTicker": (msgspec.json.Decoder(wire.CombinedBookTicker), _book_ticker),
}
_BUILDERS: Final[dict[type, _Builder]] = {
    wire.TradeEvent: _trade,
    wire.AggregateEvent: _aggregate,
    wire.TickerEvent: _ticker,
    wire.KlineEvent: _candle,
    wire.DepthEvent: _depth,
    wire.BookTicker: _book_ticker,
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


def _checked(status: int, body: bytes) -> list[wire.RestTrade]:
    try:
        return wire.rest_trades.decode(body)
    except BROKEN as error:
        try:
            problem = wire.rest_problems.decode(body)
        except BROKEN:
            raise TransientError(f"status {status}, not an answer: {error}") from None
    if problem.code == _INVALID_SYMBOL:
        raise UnknownPairError(problem.msg)
    if problem.code in {-1000, -1001, -1003, -1006, -1007, -1008}:
        raise TransientError(f"{problem.code}: {problem.msg}")
    raise PermanentError(f"{problem.code}: {problem.msg}")
