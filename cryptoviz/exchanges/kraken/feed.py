"""Kraken: WebSocket v2 (https://docs.kraken.com/api/docs/websocket-v2) and the public REST interface.

    frame -> envelope -> parser of its channel -> decoder of `wire` -> records, or what the exchange says of itself

`wire` says what each field means; `spec` how pairs are spelled, which differs between v2 and REST.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from cryptoviz.exchanges.adapter import (
    BROKEN,
    Event,
    FrameError,
    Heartbeat,
    Ignored,
    InstrumentStatus,
    Pong,
    Refused,
    Request,
    Subscribed,
    SystemStatus,
    Traits,
    UnknownPairError,
)
from cryptoviz.exchanges.kraken import wire
from cryptoviz.exchanges.kraken.spec import KRAKEN
from cryptoviz.exchanges.spellings import Spelling
from cryptoviz.records import Record, Side, Ticker, Trade
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.remote.rest import RestClient

_NAME: Final = KRAKEN.name
CHANNELS: Final = ("trade", "ticker")
_PAGE: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS_BACK: Final = tuple(timedelta(seconds=s) for s in (1, 10, 60, 600, 3600, 21_600, 86_400, 604_800, 2_592_000))
_TEMPORARY: Final = ("EAPI:Rate limit", "EGeneral:Too many requests", "EService:", "EGeneral:Internal error")


_BAD: Final = (ValueError, *BROKEN)
# The stream cuts times to microseconds, REST prints the same instant as a float: cut it likewise, or the same trade
# would have two keys; the float may fall short by less than a tenth of a microsecond.
_UNDERSHOOT: Final = Decimal("0.05")
_SIDES: Final[dict[str, Side]] = {"b": Side.BUY, "s": Side.SELL}


class KrakenFeed:
    """Kraken as a source.

    Raises:
        UnspelledPairError: one of the pairs has a name that means another coin there.
    """

    name = _NAME

    def __init__(self, pairs: Sequence[str]) -> None:
        self.pairs = list(pairs)
        self._symbols = {pair: spelling(pair).stream for pair in pairs}
        self.traits = Traits(
            heartbeats=True,
            requests_per_s=10,
            maintenance_delay_s=5,
            snapshot_trades=True,
            ping='{"method":"ping"}',
            channels=CHANNELS,
        )
        self._requests = 0
        self._parsers: dict[str, Callable[[msgspec.Raw, datetime], list[Record] | Event]] = {
            "trade": self._parse_trades,
            "ticker": self._parse_tickers,
            "instrument": self._parse_instruments,
            "status": _parse_status,
        }

    def address(self, base: str) -> str:
        """One address for everything."""
        return base

    def subscribe(self, pairs: Sequence[str]) -> list[Request]:
        """One message per channel; Kraken answers once per symbol."""
        return [
            *(self._request("subscribe", channel, pairs) for channel in CHANNELS),
            self._message("subscribe", {"channel": "instrument", "snapshot": True}, ()),
        ]

    def unsubscribe(self, pairs: Sequence[str]) -> list[Request]:
        """One message per channel."""
        return [self._request("unsubscribe", channel, pairs) for channel in CHANNELS]

    def _request(self, method: str, channel: str, pairs: Sequence[str]) -> Request:
        params: dict[str, Any] = {"channel": channel, "symbol": [self._symbols[pair] for pair in pairs]}
        if method == "subscribe":
            params["snapshot"] = True
        return self._message(method, params, tuple((channel, pair) for pair in pairs))

    def _message(self, method: str, params: dict[str, Any], channels: tuple[tuple[str, str], ...]) -> Request:
        self._requests += 1
        body = {"method": method, "params": params, "req_id": self._requests}
        return Request(msgspec.json.encode(body).decode(), channels, self._requests)

    def parse(self, frame: bytes, received_at: datetime) -> list[Record] | Event:
        """The records or the event in a frame.

        Raises:
            FrameError: not JSON, or not what the exchange documents.
        """
        try:
            envelope = wire.frames.decode(frame)
        except msgspec.ValidationError as error:
            raise FrameError("invalid", str(error)) from None
        except BROKEN as error:
            raise FrameError("undecodable", str(error)) from None
        channel = envelope.channel
        if channel == "heartbeat":
            return Heartbeat()
        parser = self._parsers.get(channel)
        if parser is not None:
            try:
                return parser(envelope.data, received_at)
            except BROKEN as error:
                raise FrameError("invalid", f"{channel}: {error}") from None
        if channel:
            return Ignored(f"channel {channel} is not collected")
        return _parse_answer(envelope)

    def _parse_trades(self, data: msgspec.Raw, received_at: datetime) -> list[Record]:
        try:
            return [_trade(given, received_at) for given in wire.trades.decode(data)]
        except _BAD:
            return _salvage(data, lambda raw: _trade(wire.single_trade.decode(raw), received_at))

    def _parse_tickers(self, data: msgspec.Raw, received_at: datetime) -> list[Record]:
        try:
            return [_ticker(given, received_at) for given in wire.tickers.decode(data)]
        except _BAD:
            return _salvage(data, lambda raw: _ticker(wire.single_ticker.decode(raw), received_at))

    def _parse_instruments(self, data: msgspec.Raw, _received_at: datetime) -> Event:
        listed = {pair.symbol: pair.status for pair in wire.instruments.decode(data).pairs}
        return InstrumentStatus({pair: listed[name] for pair, name in self._symbols.items() if name in listed})

    async def newest(self, rest: RestClient, pair: str) -> Trade | None:
        """The newest trade according to REST."""
        rows, _last = await self._page(rest, pair, None)
        return rows[-1] if rows else None

    async def trades(
        self, rest: RestClient, pair: str, first_id: int, last_id: int, since: datetime
    ) -> AsyncIterator[list[Trade]]:
        """Pages by time, with Kraken's own nanosecond cursor `last`; goes back until `first_id` cannot be missed."""
        rows, cursor = await self._page_before(rest, pair, first_id, since)
        while rows:
            yield rows
            if rows[-1].trade_id >= last_id:
                return
            following, next_cursor = await self._page(rest, pair, cursor)
            if next_cursor == cursor:
                return
            rows, cursor = following, next_cursor

    async def _page_before(
        self, rest: RestClient, pair: str, first_id: int, since: datetime
    ) -> tuple[list[Trade], str]:
        rows: list[Trade] = []
        cursor = ""
        for step in _STEPS_BACK:
            start = (since - step - _EPOCH) // timedelta(microseconds=1) * 1000
            rows, cursor = await self._page(rest, pair, str(max(0, start)))
            if rows and rows[0].trade_id <= first_id:
                break
        return rows, cursor

    async def _page(self, rest: RestClient, pair: str, since: str | None) -> tuple[list[Trade], str]:
        params: dict[str, str | int] = {"pair": spelling(pair).rest, "count": _PAGE}
        if since is not None:
            params["since"] = since
        return rest_trades(pair, await rest.get("/0/public/Trades", params, rest_result))


@lru_cache(maxsize=4096)
def spelling(pair: str) -> Spelling:
    """How Kraken spells a pair.

    Raises:
        UnspelledPairError: what the pair is called means another coin there.
    """
    return KRAKEN.spellings.spelling(KRAKEN.name, pair)


@lru_cache(maxsize=4096)
def pair_of(symbol: str) -> str:
    """The pair that WebSocket v2 writes so: LUNC/USD for LUNA/USD."""
    return KRAKEN.spellings.pair_of(symbol)


def rest_trades(
    pair: str, result: dict[str, msgspec.Raw], refused: dict[datetime, str] | None = None
) -> tuple[list[Trade], str]:
    """The trades in a result of the endpoint Trades, oldest first, and the cursor `last`.

    `refused`: gets what no trade can be, by its time and with the reason; else that is an error of the whole.

    Raises:
        PermanentError: it is not what the exchange documents.
    """
    received_at = datetime.now(UTC)
    last = msgspec.json.decode(result.pop("last", msgspec.Raw(b'""')))
    try:
        rows = wire.rest_trades.decode(next(iter(result.values()), msgspec.Raw(b"[]")))
        if refused is None:
            return [_rest_trade(pair, row, received_at) for row in rows], str(last)
        return list(_possible(pair, rows, received_at, refused)), str(last)
    except _BAD as error:
        raise PermanentError(f"Trades of {pair}: {error}") from None


def _possible(
    pair: str, rows: Sequence[wire.RestTrade], received_at: datetime, refused: dict[datetime, str]
) -> Iterator[Trade]:
    for row in rows:
        try:
            yield _rest_trade(pair, row, received_at)
        except _BAD as error:
            refused[_made(row)] = f"trade {row[-1]}: {error}"


def _trade(given: wire.TradeData, received_at: datetime) -> Trade:
    return Trade(
        received_at=received_at,
        timestamp=given.timestamp,
        exchange=_NAME,
        pair=pair_of(given.symbol),
        price=given.price,
        volume=given.qty,
        side=given.side,
        trade_id=given.trade_id,
    )


def _ticker(given: wire.TickerData, received_at: datetime) -> Ticker:
    return Ticker(
        received_at=received_at,
        timestamp=given.timestamp or received_at,
        exchange=_NAME,
        pair=pair_of(given.symbol),
        last=given.last,
        bid=given.bid,
        ask=given.ask,
        volume_24h=given.volume,
        pct_change=given.change_pct,
    )


def _rest_trade(pair: str, row: wire.RestTrade, received_at: datetime) -> Trade:
    price, volume, _time, side, _order, _misc, trade_id = row
    return Trade(
        received_at=received_at,
        timestamp=_made(row),
        exchange=_NAME,
        pair=pair,
        price=price,
        volume=volume,
        side=_SIDES[side],
        trade_id=trade_id,
    )


def _made(row: wire.RestTrade) -> datetime:
    return _EPOCH + timedelta(microseconds=int(row[2] * 1_000_000 + _UNDERSHOOT))


def _salvage(data: msgspec.Raw, build: Callable[[msgspec.Raw], Record]) -> list[Record]:
    """Keep the sound elements of a frame of which one is bad.

    Raises:
        FrameError: always, with the sound ones inside.
    """
    sound: list[Record] = []
    reasons: list[str] = []
    for element in wire.raw_list.decode(data):
        try:
            sound.append(build(element))
        except _BAD as error:
            reasons.append(str(error))
    raise FrameError("invalid", "; ".join(reasons) or "no element is bad by itself", sound)


def _parse_status(data: msgspec.Raw, _received_at: datetime) -> Event:
    systems = wire.statuses.decode(data)
    return SystemStatus(systems[-1].system) if systems else Ignored("empty status")


def _parse_answer(envelope: wire.Frame) -> Event:
    method, result, error = envelope.method, envelope.result or {}, envelope.error or ""
    if method == "pong":
        return Pong()
    if method not in {"subscribe", "unsubscribe"}:
        if error:
            return Refused(error, request=envelope.req_id)
        raise FrameError("unknown_frame", f"neither channel nor known method: {method!r}")
    if method == "unsubscribe":
        return Ignored("unsubscribed")
    channel, pair = str(result.get("channel", "")), _pair_named(str(result.get("symbol", "")))
    if envelope.success:
        warnings = tuple(str(warning) for warning in result.get("warnings") or ())
        return Subscribed(channel, pair, envelope.req_id, warnings)
    # A refusal names the symbol in its own field or at the end of its text, never the channel.
    pair = pair or _pair_named(envelope.symbol or error.rpartition(" ")[2])
    if "already subscribed" in error.lower():
        return Subscribed(channel, pair, envelope.req_id)
    return Refused(error, channel, pair, envelope.req_id)


def _pair_named(symbol: str) -> str:
    return pair_of(symbol) if "/" in symbol else ""


def rest_result(status: int, body: bytes) -> dict[str, msgspec.Raw]:
    """The result in an answer of the REST interface.

    Raises:
        RemoteError: the answer is an error, or none at all; `TransientError` where asking again may help.
    """
    try:
        answer = wire.rest_answers.decode(body)
    except BROKEN as error:
        raise TransientError(f"status {status}, not an answer: {error}") from None
    if not answer.error:
        return answer.result
    text = "; ".join(answer.error)
    if text.startswith(_TEMPORARY):
        raise TransientError(text)
    if "Unknown asset pair" in text:
        raise UnknownPairError(text)
    raise PermanentError(text)
