"""Messages as they should be, and the same spoilt in every way that a sender, a disk or a stranger might spoil them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cryptoviz.codec import encode
from cryptoviz.pairs import Timeframe
from cryptoviz.records import (
    Alert,
    AlertType,
    Article,
    Candle,
    CandleSource,
    FearGreed,
    MarketSnapshot,
    Record,
    Sentiment,
    SentimentLabel,
    Side,
    Ticker,
    Trade,
)

Message = tuple[str, bytes]
"""Topic and value."""

_PAIRS: Final = ("BTC/USD", "ETH/USD", "DOGE/USDT", "1INCH/USD")
_HOSTILE: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**63, 2**64, 1.5, -0.0, 1e400, "", " ", "0", "0.0", "-1", "1e5", "1E-8", "NaN",
    "Infinity",
    "1,5", "0x10", "1_000", "١٢", "00012.50", "1." + "0" * 19, "9" * 21, "9" * 20 + "." + "9" * 18, "\u0000",
    "a\tb\\N\n", "é",
    "XBT/USD", "btc/usd", "BTC-USD", "2999-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-02-30T12:00:00Z",
    "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+02:00",
    "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.1234567Z", 1767225600, [], {}, ["a"], {"a": 1},
)  # fmt: skip


def valid_records(seed: int, now: datetime) -> Iterator[tuple[str, Record]]:
    """Endless plausible records of every ingested topic, each with a key of its own; many trades and tickers."""
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        at = now - timedelta(microseconds=number * 1000 + chance.randrange(1000))
        yield "rawtrade", _trade(chance, at, number)
        yield "rawticker", _ticker(chance, at)
        if number % 4 == 0:
            yield from _rare(chance, at, number)


def _amount(chance: random.Random) -> Decimal:
    return Decimal(chance.randrange(1, 10**12)).scaleb(-chance.randrange(0, 9))


def _trade(chance: random.Random, at: datetime, number: int) -> Trade:
    return Trade(
        received_at=at, timestamp=at, exchange="kraken", pair=chance.choice(_PAIRS), price=_amount(chance),
        volume=_amount(chance), side=chance.choice(list(Side)), trade_id=number,
    )  # fmt: skip


def _ticker(chance: random.Random, at: datetime) -> Ticker:
    return Ticker(
        received_at=at, timestamp=at, exchange="binance", pair=chance.choice(_PAIRS), last=_amount(chance),
        bid=_amount(chance), ask=_amount(chance), volume_24h=_amount(chance), pct_change=-_amount(chance),
    )  # fmt: skip


def _rare(chance: random.Random, at: datetime, number: int) -> Iterator[tuple[str, Record]]:
    start = at.replace(second=0, microsecond=0) - timedelta(minutes=number)
    price = _amount(chance)
    yield "rawcandle", Candle(
        received_at=at, window_start=start, window_end=start + timedelta(minutes=1), exchange="binance",
        symbol="BTC/USDT", timeframe=Timeframe.M1, open=price, high=price + 2, low=price, close=price + 1,
        volume=Decimal("1.5"), trade_count=3, closed=chance.random() < 0.5, source=CandleSource.STREAM,
    )  # fmt: skip
    yield "rawalert", Alert(
        received_at=at, timestamp=at, exchange="kraken", pair="BTC/USD", last_price=price, change_percent=-0.75,
        threshold=0.5, alert_type=AlertType.PRICE_DOWN,
    )  # fmt: skip
    yield "rawarticle", Article(
        received_at=at, published_at=at, scraped_at=at, article_id=f"guid {number}\t\\x", revision=1 + number % 3,
        title='Two "quotes",\na tab\tand a \\ — €', url="https://example.org/a", website="example.org",
        source="example", summary="", content="…", tags=("a", "b"),
        cryptocurrencies_mentioned=("BTC", 'odd "one"\\', "ETH"),
        sentiment=Sentiment(score=0.7, label=SentimentLabel.POSITIVE),
    )  # fmt: skip
    yield "rawmarket", MarketSnapshot(
        received_at=at, timestamp=at, source="coingecko", symbol="btc", name="Bitcoin", price_usd=price, rank=1,
    )  # fmt: skip
    yield (
        "rawmood",
        FearGreed(received_at=at, timestamp=at, source="alternative.me", value=50, classification="Neutral"),
    )


def mutated(seed: int, now: datetime) -> Iterator[Message]:
    """Endless messages of valid records, most of them spoilt."""
    chance = random.Random(seed)
    for topic, record in valid_records(seed, now):
        yield topic, chance.choice(_MUTATIONS)(chance, encode(record))


def _untouched(_chance: random.Random, message: bytes) -> bytes:
    return message


def _flip(chance: random.Random, message: bytes) -> bytes:
    spoilt = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
    return bytes(spoilt)


def _cut(chance: random.Random, message: bytes) -> bytes:
    return message[: chance.randrange(len(message))]


def _swap_digit(chance: random.Random, message: bytes) -> bytes:
    places = [index for index, byte in enumerate(message) if chr(byte).isdigit()]
    place = chance.choice(places)
    return message[:place] + bytes([chance.choice(b'0123456789.-E "')]) + message[place + 1 :]


def _insert(chance: random.Random, message: bytes) -> bytes:
    place = chance.randrange(len(message) + 1)
    return message[:place] + bytes([chance.choice(b' \t\n\\"0,:{}\x00\xff')]) + message[place:]


def _change_field(chance: random.Random, message: bytes) -> bytes:
    fields = json.loads(message)
    fields[chance.choice(list(fields))] = chance.choice(_HOSTILE)
    return _compact(fields)


def _drop_field(chance: random.Random, message: bytes) -> bytes:
    fields = json.loads(message)
    del fields[chance.choice(list(fields))]
    return _compact(fields)


def _shuffle(chance: random.Random, message: bytes) -> bytes:
    fields = list(json.loads(message).items())
    chance.shuffle(fields)
    return _compact(dict(fields))


def _add_field(chance: random.Random, message: bytes) -> bytes:
    return message[:-1] + b',"surprise":' + json.dumps(chance.choice(_HOSTILE[:8])).encode() + b"}"


def _repeat_field(chance: random.Random, message: bytes) -> bytes:
    name, value = chance.choice(list(json.loads(message).items()))
    return message[:-1] + b"," + json.dumps(name).encode() + b":" + json.dumps(value).encode() + b"}"


def _spaced(_chance: random.Random, message: bytes) -> bytes:
    return json.dumps(json.loads(message), indent=1).encode()


def _as_number(chance: random.Random, message: bytes) -> bytes:
    fields = json.loads(message)
    numeric = [name for name, value in fields.items() if isinstance(value, str) and value.replace(".", "").isdigit()]
    if numeric:
        name = chance.choice(numeric)
        fields[name] = float(fields[name])
    return _compact(fields)


def _later(chance: random.Random, message: bytes) -> bytes:
    fields = json.loads(message)
    name = chance.choice([name for name in fields if name.endswith(("_at", "timestamp", "_start"))])
    moved = datetime.fromisoformat(fields[name]) + timedelta(seconds=chance.choice((5, -5, 59, 3600, 10**8)))
    fields[name] = moved.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _compact(fields)


def _compact(fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _garbage(chance: random.Random, _message: bytes) -> bytes:
    return chance.choice(
        (b"", b"null", b"[]", b"{}", b"1", b'"text"', b"\xff\xfe", b"{" * 20, b"a\tb", chance.randbytes(40))
    )


_MUTATIONS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    _untouched, _untouched, _untouched, _flip, _cut, _swap_digit, _swap_digit, _insert, _change_field, _change_field,
    _drop_field, _shuffle, _add_field, _repeat_field, _spaced, _as_number, _later, _garbage,
)  # fmt: skip
