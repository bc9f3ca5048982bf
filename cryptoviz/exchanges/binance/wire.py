"""Binance's messages as they come off the wire, each field under a plain name beside Binance's letter for it.

Combined streams wrap an event in the name of its stream: ``{"stream":"btcusdt@trade","data":{...}}``. Instants are
milliseconds since 1970 (microseconds where a connection asked for them); prices and quantities are decimals in quotes.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import field

from cryptoviz.exchanges.adapter import TradeId


class TradeEvent(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    """One trade: stream ``btcusdt@trade``.

    {"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}

    `E`, when the event was sent, and `M`, which means nothing, are not read.
    """

    symbol: str = field(name="s")
    trade_id: TradeId = field(name="t")
    """Consecutive per symbol."""
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    traded_at: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    """The buyer made the offer, so the taker sold."""


class AggregateEvent(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """Trades that one order made at one price: stream ``btcusdt@aggTrade``.

    {"e":"aggTrade","E":1633998523963,"s":"NKNUSDT","a":15683430,"p":"0.35280000","q":"58.00000000",
     "f":19862790,"l":19862790,"T":1633998523963,"m":false,"M":true}

    `a`, the aggregate's own number, is not a trade's.
    """

    symbol: str = field(name="s")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    first_trade_id: TradeId = field(name="f")
    last_trade_id: TradeId = field(name="l")
    traded_at: int = field(name="T")
    buyer_is_maker: bool = field(name="m")


class TickerEvent(msgspec.Struct, tag_field="e", tag="24hrTicker", gc=False):
    """The last 24 hours of a pair: stream ``btcusdt@ticker``, about once a second.

    {"e":"24hrTicker","E":1672515782136,"s":"BNBBTC","p":"0.0015","P":"250.00","w":"0.0018","x":"0.0009","c":"0.0025",
     "Q":"10","b":"0.0024","B":"10","a":"0.0026","A":"100","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18",
     "O":0,"C":86400000,"F":0,"L":18150,"n":18151}

    Not read: `p` change, `w` average, `x` close before, `Q` `B` `A` quantities of last, bid and ask, `o` `h` `l` open,
    high and low, `q` quote volume, `O` `C` the window, `F` `L` `n` its trades.
    """

    sent_at: int = field(name="E")
    symbol: str = field(name="s")
    change_percent: Decimal = field(name="P")
    last: Decimal = field(name="c")
    bid: Decimal = field(name="b")
    ask: Decimal = field(name="a")
    volume: Decimal = field(name="v")
    """In base coin."""


class Kline(msgspec.Struct, gc=False):
    """The candle inside a `KlineEvent`.

    Not read: `T` its last millisecond, `s` the symbol again, `f` `L` its first and last trade id, `q` quote volume,
    `V` `Q` what takers bought, `B` nothing.
    """

    opened_at: int = field(name="t")
    interval: str = field(name="i")
    open: Decimal = field(name="o")
    close: Decimal = field(name="c")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    """In base coin."""
    trades: TradeId = field(name="n")
    closed: bool = field(name="x")


class KlineEvent(msgspec.Struct, tag_field="e", tag="kline", gc=False):
    """A candle, open or closed: stream ``btcusdt@kline_1m``, every two seconds while it changes.

    {"e":"kline","E":1633998523963,"s":"NKNUSDT","k":{"t":1633998480000,"T":1633998539999,"s":"NKNUSDT","i":"1m",
     "f":19862761,"L":19862790,"o":"0.35270000","c":"0.35280000","h":"0.35280000","l":"0.35220000",
     "v":"25877.00000000","n":30,"x":false,"q":"9116.04600000","V":"58.00000000","Q":"20.46240000","B":"0"}}
    """

    symbol: str = field(name="s")
    candle: Kline = field(name="k")


class DepthEvent(msgspec.Struct, tag_field="e", tag="depthUpdate", gc=False):
    """A change of the order book: stream ``btcusdt@depth``. It is checked, and not collected.

    {"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}
    """

    symbol: str = field(name="s")
    first_update_id: int = field(name="U")
    last_update_id: int = field(name="u")
    bids: list[tuple[Decimal, Decimal]] = field(name="b")
    asks: list[tuple[Decimal, Decimal]] = field(name="a")


class ShutdownEvent(msgspec.Struct, tag_field="e", tag="serverShutdown", gc=False):
    """The server will close this connection soon: ``{"stream":"!serverShutdown","data":{"e":"serverShutdown"}}``."""


class BookTicker(msgspec.Struct, gc=False):
    """Best bid and ask: stream ``btcusdt@bookTicker``, the only market event without a type and a time.

    {"u":499869768,"s":"NKNUSDT","b":"0.35210000","B":"672.00000000","a":"0.35260000","A":"3199.00000000"}
    """

    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: Decimal = field(name="b")
    bid_quantity: Decimal = field(name="B")
    ask: Decimal = field(name="a")
    ask_quantity: Decimal = field(name="A")


Event = TradeEvent | AggregateEvent | TickerEvent | KlineEvent | DepthEvent | ShutdownEvent


class CombinedTrade(msgspec.Struct, gc=False):
    """A trade in its wrapping; the name of the stream was read before."""

    data: TradeEvent


class CombinedAggregate(msgspec.Struct, gc=False):
    """An aggregate in its wrapping."""

    data: AggregateEvent


class CombinedTicker(msgspec.Struct, gc=False):
    """A ticker in its wrapping."""

    data: TickerEvent


class CombinedKline(msgspec.Struct, gc=False):
    """A candle in its wrapping."""

    data: KlineEvent


class CombinedDepth(msgspec.Struct, gc=False):
    """A change of the order book in its wrapping."""

    data: DepthEvent


class CombinedBookTicker(msgspec.Struct, gc=False):
    """Best bid and ask in their wrapping."""

    data: BookTicker


class OtherMessage(msgspec.Struct):
    """Everything that is not the event that its stream's name promises: answers, errors, raw streams.

    {"result":null,"id":3}    {"code":2,"msg":"Invalid request: unknown variable","id":3}    {"error":{"msg":"..."}}
    """

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    event_type: str = field(name="e", default="")
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    code: int | None = None
    msg: str = ""
    error: dict[str, Any] = {}


class RestTrade(msgspec.Struct, gc=False):
    """A trade of the endpoints ``trades`` and ``historicalTrades``.

    {"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,
     "isBuyerMaker":true,"isBestMatch":true}
    """

    trade_id: TradeId = field(name="id")
    price: Decimal
    quantity: Decimal = field(name="qty")
    traded_at: int = field(name="time")
    buyer_is_maker: bool = field(name="isBuyerMaker")


class RestProblem(msgspec.Struct):
    """What REST answers instead: ``{"code":-1121,"msg":"Invalid symbol."}``."""

    code: int
    msg: str = ""


RestKline = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, int, str, int, str, str, str]
"""A row of the endpoint ``klines``.

[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,"2434.19055334",308,
 "1756.87402397","28.46694368","0"]

Opened at, open, high, low, close, volume, last millisecond, quote volume, trades, what takers bought in base and in
quote coin, nothing.
"""

events: Final = msgspec.json.Decoder(Event)
others: Final = msgspec.json.Decoder(OtherMessage)
book_tickers: Final = msgspec.json.Decoder(BookTicker)
rest_trades: Final = msgspec.json.Decoder(list[RestTrade])
rest_problems: Final = msgspec.json.Decoder(RestProblem)
rest_klines: Final = msgspec.json.Decoder(list[RestKline])
