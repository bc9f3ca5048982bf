"""How an exchange spells a pair: one table for live data, history and the names of archive files.

    LUNC/USD -> Spellings.spelling -> LUNAUSD (REST, files), LUNA/USD (WebSocket v2) -> Spellings.pair_of -> LUNC/USD

Coins have changed their names, and exchanges followed, or did not: Kraken's LUNA is the coin that everybody else calls
LUNC since 2022, its LUNA2 is LUNA. The names on the platform's side are ccxt's, as in the table `instruments`. What an
exchange lists is compared with this table before a pair is collected or fetched (`cryptoviz.exchanges.unconfirmed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class UnspelledPairError(ValueError):
    """A pair whose name stands for another coin at that exchange; the message says which pair to ask for instead."""


@dataclass(frozen=True)
class Spelling:
    """One pair at one exchange. `rest` also names it in the exchange's archive files; `stream` in its WebSocket."""

    rest: str
    stream: str


@dataclass(frozen=True)
class Spellings:
    """An exchange's own names of coins where they are not the platform's, and what it writes between two coins.

    `codes`: the platform's name -> the exchange's. `stream_codes`: that name -> the one in its WebSocket, where it has
    two. `long_codes`: that name -> a longer one that it also has, in pairs of two such.
    """

    codes: Mapping[str, str] = field(default_factory=dict)
    stream_codes: Mapping[str, str] = field(default_factory=dict)
    long_codes: Mapping[str, str] = field(default_factory=dict)
    rest_separator: str = ""
    stream_separator: str = "/"

    def spelling(self, exchange: str, pair: str) -> Spelling:
        """How the exchange spells a pair.

        Raises:
            UnspelledPairError: what the pair is called means another coin there.
        """
        codes = [self._code(exchange, coin) for coin in pair.split("/")]
        stream = self.stream_separator.join(self.stream_codes.get(code, code) for code in codes)
        return Spelling(self.rest_separator.join(codes), stream)

    def pair_of(self, stream: str) -> str:
        """The pair that the exchange writes so in its WebSocket: LUNC/USD for Kraken's LUNA/USD.

        Raises:
            ValueError: it writes nothing between two coins, so that only known pairs can be told apart.
        """
        if not self.stream_separator:
            raise ValueError(f"{stream} may be several pairs")
        return "/".join(self.coin_of(code) for code in stream.split(self.stream_separator))

    def coin_of(self, code: str) -> str:
        """The platform's name of a coin that has this code in the exchange's WebSocket."""
        coins = {self.stream_codes.get(code, code): coin for coin, code in self.codes.items()}
        return coins.get(code, code)

    def stream_coins(self, stream: str) -> tuple[str, ...]:
        """The codes of the two coins in what the exchange writes in its WebSocket; both in one where none is told."""
        return tuple(stream.split(self.stream_separator)) if self.stream_separator else (stream,)

    def _code(self, exchange: str, coin: str) -> str:
        if coin in self.codes:
            return self.codes[coin]
        for other, code in self.codes.items():
            if code == coin:
                raise UnspelledPairError(f"{coin} is {exchange}'s name of {other}: ask for {other}")
        return coin
