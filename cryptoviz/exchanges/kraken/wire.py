"""Kraken's messages as they come off the wire: WebSocket v2 frames and REST bodies.

A v2 frame is data of a channel, ``{"channel":"trade","type":"update","data":[...]}``, or the answer to a request,
``{"method":"subscribe",...}``. Prices are JSON numbers in v2 and texts in REST; both are decoded as exact decimals,
trailing zeros included. https://docs.kraken.com/api/docs/websocket-v2
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from cryptoviz.exchanges.adapter import TradeId
from cryptoviz.records import Instant, Side


class Frame(msgspec.Struct):
    """A frame whose data is not decoded yet: what it is about decides how.

    {"channel":"heartbeat"}
    {"method":"subscribe","result":{"channel":"ticker","symbol":"BTC/USD","snapshot":true},"success":true,
     "time_in":"2023-09-25T09:04:31.742599Z","time_out":"2023-09-25T09:04:31.742648Z","req_id":1}
    {"method":"subscribe","error":"Currency pair not supported XXX/USD","success":false,"symbol":"XXX/USD","req_id":2}
    """

    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    method: str = ""
    success: bool | None = None
    error: str | None = None
    result: dict[str, Any] | None = None
    symbol: str | None = None
    req_id: int | None = None
    """The number that we gave the request."""


class TradeData(msgspec.Struct):
    """One trade in a frame of channel ``trade``.

    {"symbol":"BTC/USD","side":"buy","price":105944.20,"qty":0.00027625,"ord_type":"limit","trade_id":10218208,
     "timestamp":"2023-10-06T17:35:55.440295Z"}
    """

    symbol: str
    side: Side
    """The taker's."""
    price: Decimal
    qty: Decimal
    """In base coin."""
    trade_id: TradeId
    """Consecutive per book."""
    timestamp: Instant


class TickerData(msgspec.Struct):
    """One pair in a frame of channel ``ticker``.

    {"symbol":"BTC/USD","bid":105944.20,"bid_qty":2.5,"ask":105944.30,"ask_qty":3.2,"last":105899.40,
     "volume":163.28908096,"vwap":105904.39279,"low":104711.00,"high":106613.10,"change":250.00,"change_pct":0.24,
     "timestamp":"2022-12-25T09:30:59.123456Z"}
    """

    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    volume: Decimal
    """Of the last 24 hours, in base coin."""
    change_pct: Decimal
    timestamp: Instant | None = None
    """Absent in older frames."""


class PairData(msgspec.Struct):
    """One pair in the data of channel ``instrument``.

    {"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"price_precision":1}
    """

    symbol: str
    status: str
    """``online``, or why it cannot be traded freely: ``cancel_only``, ``reduce_only``, ``delisted`` ..."""


class InstrumentData(msgspec.Struct):
    """The data of channel ``instrument``: ``{"assets":[...],"pairs":[...]}``."""

    pairs: list[PairData] = []


class StatusData(msgspec.Struct):
    """The state of the exchange in a frame of channel ``status``.

    {"system":"online","api_version":"v2","connection_id":12834474834131120935,"version":"2.0.10"}
    """

    system: str


class RestAnswer(msgspec.Struct):
    """The body of every REST answer: errors, or a result by the exchange's own name of the pair, and a cursor `last`.

    {"error":[],"result":{"XXBTZUSD":[],"last":"1762795433971744500"}}
    {"error":["EQuery:Unknown asset pair"]}
    """

    error: list[str]
    result: dict[str, msgspec.Raw] = {}


RestTrade = tuple[Decimal, Decimal, Decimal, Literal["b", "s"], str, str, TradeId]
"""A row of the endpoint ``Trades``: price, volume, time, side, order type, miscellaneous, trade id.

["105433.60000","0.00027625",1762795433.9717445,"b","l","",10218208]

The time, in seconds, is read as a decimal: a float would lose digits. The side, ``b`` or ``s``, is the taker's; the
order type is ``m``, a market order, or ``l``, a limit order.
"""

RestCandle = tuple[int, Decimal, Decimal, Decimal, Decimal, str, Decimal, int]
"""A row of the endpoint ``OHLC``: start, open, high, low, close, average, volume, number of trades.

[1762777020,"106038.2","106038.2","106038.2","106038.2","0.0","0.00000000",0]

A minute without a trade is listed with the price before it. The last row is the candle that is still open.
"""

frames: Final = msgspec.json.Decoder(Frame)
trades: Final = msgspec.json.Decoder(list[TradeData])
tickers: Final = msgspec.json.Decoder(list[TickerData])
single_trade: Final = msgspec.json.Decoder(TradeData)
single_ticker: Final = msgspec.json.Decoder(TickerData)
raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
instruments: Final = msgspec.json.Decoder(InstrumentData)
statuses: Final = msgspec.json.Decoder(list[StatusData])
rest_answers: Final = msgspec.json.Decoder(RestAnswer)
rest_trades: Final = msgspec.json.Decoder(list[RestTrade])
rest_candles: Final = msgspec.json.Decoder(list[RestCandle])
