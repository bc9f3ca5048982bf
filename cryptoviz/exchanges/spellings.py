"""How each exchange spells a pair: the one table for live data, history and the names of archive files.

    LUNC/USD -> spelling("kraken", ...) -> LUNAUSD (REST, files), LUNA/USD (WebSocket v2) -> pair_of -> LUNC/USD

Coins have changed their names, and exchanges followed, or did not: Kraken's LUNA is the coin that everybody else calls
LUNC since 2022, its LUNA2 is LUNA. The names on the platform's side are ccxt's, as in the table `instruments`. What an
exchange lists is compared with this table before a pair is collected or fetched (`unconfirmed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final


class UnspelledPairError(ValueError):
    """A pair whose name stands for another coin at that exchange; the message says which pair to ask for instead."""


@dataclass(frozen=True)
class Spelling:
    """One pair at one exchange. `rest` also names it in the exchange's archive files; `stream` in its WebSocket."""

    rest: str
    stream: str


@dataclass(frozen=True)
class _Words:
    """An exchange's own names of coins where they are not the platform's, and of those names in its WebSocket."""

    codes: Mapping[str, str] = field(default_factory=dict)
    stream_codes: Mapping[str, str] = field(default_factory=dict)
    stream_separator: str = "/"


_WORDS: Final[Mapping[str, _Words]] = {
    # REST and files write XBT and XDG, WebSocket v2 BTC and DOGE. The Terra coins and Augur's two versions keep the
    # names that they had at Kraken when the newer coin came: LUNA2USD and REPV2USD are the newer ones.
    "kraken": _Words(
        codes={
            "BTC": "XBT",
            "DOGE": "XDG",
            "LUNC": "LUNA",
            "LUNA": "LUNA2",
            "USTC": "UST",
            "REPV1": "REP",
            "REP": "REPV2",
            "KFEE": "FEE",
        },
        stream_codes={"XBT": "BTC", "XDG": "DOGE"},
    ),
    # Binance renamed its Terra coins as everybody did; YOYO was YOYOW's.
    "binance": _Words(codes={"YOYOW": "YOYO"}, stream_separator=""),
}
_NONE: Final = _Words()


@lru_cache(maxsize=4096)
def spelling(exchange: str, pair: str) -> Spelling:
    """How an exchange spells a pair; one without an adapter of its own: as the platform does, without the stroke.

    Raises:
        UnspelledPairError: what the pair is called means another coin there.
    """
    words = _WORDS.get(exchange, _NONE)
    codes = [_code(exchange, words, coin) for coin in pair.split("/")]
    stream = words.stream_separator.join(words.stream_codes.get(code, code) for code in codes)
    return Spelling("".join(codes), stream)


@lru_cache(maxsize=4096)
def pair_of(exchange: str, stream: str) -> str:
    """The pair that an exchange writes with a stroke in its WebSocket: LUNC/USD for Kraken's LUNA/USD."""
    words = _WORDS.get(exchange, _NONE)
    coins = {words.stream_codes.get(code, code): coin for coin, code in words.codes.items()}
    return "/".join(coins.get(name, name) for name in stream.split("/"))


def unconfirmed(exchange: str, pairs: Iterable[str], listed: Mapping[str, str | None]) -> dict[str, str]:
    """The pairs that must not be collected or fetched, and why: another coin could be stored under their name.

    `listed` has the name of every pair that the exchange has ever listed; without one name nothing is known of what it
    lists, and this table alone decides. A pair without a name was listed before names were kept.
    """
    known = exchange in _WORDS and any(name is not None for name in listed.values())
    refused = {}
    for pair in pairs:
        try:
            ours = spelling(exchange, pair).rest
        except UnspelledPairError as error:
            refused[pair] = str(error)
            continue
        theirs = listed.get(pair) or ours
        if known and pair not in listed:
            refused[pair] = f"{exchange} lists no {pair}"
        elif known and theirs != ours:
            refused[pair] = f"{exchange} lists {pair} as {theirs}, not as {ours}: it may be another coin"
    return refused


def _code(exchange: str, words: _Words, coin: str) -> str:
    if coin in words.codes:
        return words.codes[coin]
    for other, code in words.codes.items():
        if code == coin:
            raise UnspelledPairError(f"{coin} is {exchange}'s name of {other}: ask for {other}")
    return coin
