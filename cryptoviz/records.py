"""The records that travel through the platform: one definition each.

    wire (JSON) <-> record <-> table row

Codec, Spark schema, JSON Schema, Avro, table columns and data dictionary are derived from the classes below or held
to them by contract tests. What an exchange said (prices, volumes) is an exact decimal; what we computed is a float.
Instants are aware, in UTC, with microseconds. A record that exists is valid: every class checks its own values, on
construction as well as on decoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec

from cryptoviz.pairs import Series, Timeframe, is_pair

EARLIEST: Final = datetime(2009, 1, 3, tzinfo=UTC)
"""Nothing on a crypto exchange happened before Bitcoin's first block."""

MAX_FUTURE: Final = timedelta(seconds=60)
"""How far a source's clock may run ahead of ours before we refuse what it says. Real feeds show a few seconds."""

INTEGER_DIGITS: Final = 20
FRACTION_DIGITS: Final = 18
"""The widest decimal that every engine in the chain keeps exactly: Spark's DECIMAL(38, 18)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PRICES: Final = ("open", "high", "low", "close")
_ZERO: Final = Decimal(0)
_SMALLEST: Final = Decimal(1).scaleb(-FRACTION_DIGITS)
_LARGE: Final = Decimal(10) ** INTEGER_DIGITS
_EXACT: Final = Context(prec=INTEGER_DIGITS + FRACTION_DIGITS, traps=[InvalidOperation, Inexact])
_WIDE: Final = (InvalidOperation, Inexact, Overflow)
# With this precision and these exponents the smallest step is 1e-18: one cheap operation raises on anything narrower.
_narrow: Final = Context(prec=FRACTION_DIGITS + 1, Emin=0, Emax=INTEGER_DIGITS - 1, traps=[*_WIDE]).plus


class Side(StrEnum):
    """What the taker did."""

    BUY = "buy"
    SELL = "sell"


class CandleSource(StrEnum):
    """Where a candle came from: built from streamed trades, or fetched closed over REST (which wins)."""

    STREAM = "stream"
    REST = "rest"


class AlertType(StrEnum):
    """Which way the price moved."""

    PRICE_UP = "price_up"
    PRICE_DOWN = "price_down"


class SentimentLabel(StrEnum):
    """The word for a sentiment score: positive above 0.6, negative below 0.4, else neutral."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"

    @classmethod
    def of(cls, score: float) -> SentimentLabel:
        """The label of a score in [0, 1]."""
        if score > 0.6:
            return cls.POSITIVE
        return cls.NEGATIVE if score < 0.4 else cls.NEUTRAL


def _decimal(name: str, value: Decimal, *, zero: bool, negative: bool = False) -> None:
    try:
        value.quantize(_SMALLEST, context=_EXACT)
        if value > _ZERO:
            return
    except InvalidOperation:
        if not value.is_finite():
            raise ValueError(f"{name} is not a finite number") from None
        raise ValueError(f"{name} has more than {INTEGER_DIGITS} integer digits") from None
    except Inexact:
        raise ValueError(f"{name} has more than {FRACTION_DIGITS} fraction digits") from None
    if value == _ZERO and not zero:
        raise ValueError(f"{name} is zero")
    if value < _ZERO and not negative:
        raise ValueError(f"{name} is negative")


def _plain(*values: Decimal) -> bool:
    """Whether all values are above zero and certainly narrow enough: the fast answer for nearly everything."""
    try:
        for value in values:
            _narrow(value)
            if not _ZERO < value < _LARGE:
                return False
    except _WIDE:
        return False  # `_decimal` says why, or that it is fine after all
    return True


def _instant(name: str, value: datetime, received_at: datetime, ahead: timedelta = MAX_FUTURE) -> None:
    if value < EARLIEST:
        raise ValueError(f"{name} is before {EARLIEST:%Y-%m-%d}")
    # A difference never leaves the calendar, a sum may.
    if value - received_at > ahead:
        raise ValueError(f"{name} is more than {ahead.total_seconds():.0f} s after received_at")


def _pair(name: str, value: str) -> None:
    if not is_pair(value):
        raise ValueError(f"{name} is not a pair such as BTC/USD")


Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_.-]+$")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every record that comes from outside carries. `received_at` is when we saw it, on our own clock.

    Records hold plain values only and can never be part of a cycle: the garbage collector need not look at them.
    """

    received_at: Instant


class Ticker(Record, frozen=True, kw_only=True, gc=False):
    """The state of one market at an exchange: last trade, best bid and ask, and the rolling last 24 hours."""

    timestamp: Instant
    exchange: Name
    pair: str
    last: Decimal
    bid: Decimal
    ask: Decimal
    volume_24h: Decimal
    pct_change: Decimal

    def __post_init__(self) -> None:
        _pair("pair", self.pair)
        _instant("timestamp", self.timestamp, self.received_at)
        if not _plain(self.last, self.bid, self.ask, self.volume_24h):
            _decimal("last", self.last, zero=False)
            _decimal("bid", self.bid, zero=True)
            _decimal("ask", self.ask, zero=True)
            _decimal("volume_24h", self.volume_24h, zero=True)
        _decimal("pct_change", self.pct_change, zero=True, negative=True)


class Trade(Record, frozen=True, kw_only=True, gc=False):
    """One trade. `trade_id` is the exchange's own number, consecutive per pair; `side` is the taker's."""

    timestamp: Instant
    exchange: Name
    pair: str
    price: Decimal
    volume: Decimal
    side: Side
    trade_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

    def __post_init__(self) -> None:
        # Thousands of these a second: the usual case is decided here, the rest where the reasons are.
        if not is_pair(self.pair):
            _pair("pair", self.pair)
        if not EARLIEST <= self.timestamp <= self.received_at:
            _instant("timestamp", self.timestamp, self.received_at)
        price, volume = self.price, self.volume
        try:
            _narrow(price)
            _narrow(volume)
            if _ZERO < price < _LARGE and _ZERO < volume < _LARGE:
                return
        except _WIDE:
            pass
        _decimal("price", price, zero=False)
        _decimal("volume", volume, zero=False)


class Candle(Record, frozen=True, kw_only=True, gc=False):
    """Open, high, low, close, volume in base coin and number of trades of ``[window_start, window_end)``.

    `symbol` is the pair. `closed` says that the window has ended and the exchange's last word on it is in.
    """

    window_start: Instant
    window_end: Instant
    exchange: Name
    symbol: str
    timeframe: Timeframe
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    closed: bool
    source: CandleSource

    def __post_init__(self) -> None:
        # As in `Trade`: the usual case is decided here.
        start, timeframe = self.window_start, self.timeframe
        if not is_pair(self.symbol):
            _pair("symbol", self.symbol)
        if not EARLIEST <= start <= self.received_at:
            _instant("window_start", start, self.received_at)
        if self.window_end - start != timeframe.length:
            raise ValueError(f"window is not {timeframe} long")
        # Every timeframe divides the day: only the part of a day has to be looked at.
        elapsed = start - _EPOCH
        if elapsed.microseconds or elapsed.seconds % timeframe.seconds:
            raise ValueError(f"window does not start at a multiple of {timeframe}")
        low, high, opening, closing, volume = self.low, self.high, self.open, self.close, self.volume
        try:
            _narrow(low)
            _narrow(high)
            _narrow(opening)
            _narrow(closing)
            _narrow(volume)
            # What lies between low and high is neither too small nor too large.
            ordered = low <= opening <= high and low <= closing <= high
            if ordered and low > _ZERO and high < _LARGE and _ZERO < volume < _LARGE:
                return
        except _WIDE:
            pass
        for name in _PRICES:
            _decimal(name, getattr(self, name), zero=False)
        _decimal("volume", volume, zero=True)
        if not (low <= opening <= high and low <= closing <= high):
            raise ValueError("open and close do not lie between low and high")


def fetched_candle(
    series: Series,
    start: datetime,
    prices: tuple[Decimal, Decimal, Decimal, Decimal],
    volume: Decimal,
    trades: int,
    *,
    received_at: datetime,
) -> Candle:
    """A closed candle as an exchange gave it, or as trades of the past come to. `prices`: open, high, low, close.

    Raises:
        ValueError: no candle can be like that.
    """
    return Candle(
        received_at=received_at,
        window_start=start,
        window_end=start + series.timeframe.length,
        exchange=series.exchange,
        symbol=series.pair,
        timeframe=series.timeframe,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=volume,
        trade_count=trades,
        closed=True,
        source=CandleSource.REST,
    )


class Alert(Record, frozen=True, kw_only=True, gc=False):
    """The price of a pair moved by at least `threshold` percent; `change_percent` is signed."""

    timestamp: Instant
    exchange: Name
    pair: str
    last_price: Decimal
    change_percent: float
    threshold: float
    alert_type: AlertType

    def __post_init__(self) -> None:
        _pair("pair", self.pair)
        _instant("timestamp", self.timestamp, self.received_at)
        _decimal("last_price", self.last_price, zero=False)
        _finite("change_percent", self.change_percent)
        _finite("threshold", self.threshold)


def _finite(name: str, value: float) -> None:
    if not abs(value) <= 1e300:
        raise ValueError(f"{name} is not a finite number")


class Sentiment(msgspec.Struct, frozen=True, kw_only=True):
    """How a text sounds: a score in [0, 1] from a polarity in [-1, 1], and its label."""

    score: Score
    label: SentimentLabel

    def __post_init__(self) -> None:
        if self.label is not SentimentLabel.of(self.score):
            raise ValueError(f"label {self.label} does not fit score {self.score}")


class Article(Record, frozen=True, kw_only=True, gc=False):
    """One revision of a news article. `website` is the site; `source` the feed's name.

    `published_known` says that `published_at` is the publisher's word; else it is when we first saw the article.
    `article_id` is the feed's guid where that stands for this article alone, else its link, else a digest of its words.
    """

    published_at: Instant
    scraped_at: Instant
    article_id: Text
    revision: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    title: Text
    url: Text
    website: Text
    source: Text
    summary: str
    content: str
    tags: tuple[str, ...]
    cryptocurrencies_mentioned: tuple[str, ...]
    sentiment: Sentiment
    published_known: bool = True

    def __post_init__(self) -> None:
        # A feed may announce an article for later today: a publication time is the publisher's word, not a clock's.
        _instant("published_at", self.published_at, self.received_at, timedelta(days=1) + MAX_FUTURE)
        _instant("scraped_at", self.scraped_at, self.received_at)


class MarketSnapshot(Record, frozen=True, kw_only=True, gc=False):
    """One coin in a market overview at `timestamp`, the source's own update time. Changes are in percent."""

    timestamp: Instant
    source: Name
    symbol: Text
    name: Text
    price_usd: Decimal
    market_cap: Decimal | None = None
    volume_24h: Decimal | None = None
    change_1h: float | None = None
    change_24h: float | None = None
    change_7d: float | None = None
    ath: Decimal | None = None
    atl: Decimal | None = None
    circulating_supply: Decimal | None = None
    rank: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None

    def __post_init__(self) -> None:
        _instant("timestamp", self.timestamp, self.received_at)
        _decimal("price_usd", self.price_usd, zero=False)
        for name in ("market_cap", "volume_24h", "ath", "atl", "circulating_supply"):
            value = getattr(self, name)
            if value is not None:
                _decimal(name, value, zero=True)
        for name in ("change_1h", "change_24h", "change_7d"):
            change = getattr(self, name)
            if change is not None:
                _finite(name, change)


class FearGreed(Record, frozen=True, kw_only=True, gc=False):
    """The fear and greed index of one UTC day: 0 is extreme fear, 100 extreme greed."""

    timestamp: Instant
    source: Name
    value: Annotated[int, msgspec.Meta(ge=0, le=100)]
    classification: Text

    def __post_init__(self) -> None:
        _instant("timestamp", self.timestamp, self.received_at)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def record_types() -> Iterator[type[Record]]:
    """Every record class, in the order of this file."""
    yield from Record.__subclasses__()
