"""The words for what is traded: pairs such as ``BTC/USD`` and timeframes such as ``1m``.

A pair is written ``BASE/QUOTE`` in upper case, always with BTC and DOGE. How an exchange spells it is a matter of
that exchange's adapter (XBT is Bitcoin at Kraken and another coin elsewhere), so no spelling is translated here
except for what people type (`parse_pair`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

_PAIR = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")
_TYPED_SPELLINGS = {"XBT": "BTC", "XDG": "DOGE"}


class Timeframe(StrEnum):
    """Candle lengths, each built from the one before it."""

    length: timedelta
    """How long one candle of this timeframe lasts; windows start at multiples of it since the epoch, in UTC."""
    seconds: int

    def __new__(cls, text: str, seconds: int = 0) -> Self:
        """The member written `text`; only where members are defined the seconds are given."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.length = timedelta(seconds=seconds)
        member.seconds = seconds
        return member

    M1 = "1m", 60
    M5 = "5m", 5 * 60
    M15 = "15m", 15 * 60
    H1 = "1h", 60 * 60
    D1 = "1d", 24 * 60 * 60


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the windows of every timeframe are counted from."""


def floor(instant: datetime, timeframe: Timeframe) -> datetime:
    """The start of the window that an instant lies in."""
    return instant - (instant - EPOCH) % timeframe.length


def ceiling(instant: datetime, timeframe: Timeframe) -> datetime:
    """The start of the first window that begins at an instant or after it."""
    return instant + (EPOCH - instant) % timeframe.length


@lru_cache(maxsize=4096)
def is_pair(text: str) -> bool:
    """Whether `text` is a pair as the platform writes it: ``BASE/QUOTE``, never XBT or XDG."""
    return _PAIR.fullmatch(text) is not None and not _TYPED_SPELLINGS.keys() & set(text.split("/"))


def parse_pair(text: str) -> str:
    """The pair that somebody typed as ``btc/usd``, ``BTC-USD`` or ``XBT/USD``.

    Raises:
        ValueError: `text` is no pair in any of these spellings.
    """
    coins = [_TYPED_SPELLINGS.get(coin, coin) for coin in text.strip().upper().replace("-", "/").split("/")]
    pair = "/".join(coins)
    if not is_pair(pair):
        raise ValueError(f"{text!r} is not a pair; write BASE/QUOTE, such as BTC/USD")
    return pair


def base_of(pair: str) -> str:
    """The base coin of a pair: ``BTC`` of ``BTC/USD``. Tables call it ``crypto_symbol``."""
    return pair.partition("/")[0]


@dataclass(frozen=True)
class Series:
    """The candles of one pair and timeframe at one exchange."""

    exchange: str
    pair: str
    timeframe: Timeframe

    @classmethod
    def of(cls, exchange: str, pair: str, timeframe: str) -> Series:
        """The series of a row.

        Raises:
            ValueError: there is no such timeframe.
        """
        return cls(exchange, pair, Timeframe(timeframe))

    @property
    def columns(self) -> dict[str, str]:
        """The series as the columns of a candle name it, and so the parameters of most statements."""
        return {"exchange": self.exchange, "symbol": self.pair, "timeframe": self.timeframe.value}

    def __str__(self) -> str:
        return f"{self.exchange} {self.pair} {self.timeframe}"
