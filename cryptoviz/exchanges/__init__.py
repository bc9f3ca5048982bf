"""The exchanges of the platform: one list, and what is looked up in it by an exchange's name.

    kraken/ binance/    one folder for each exchange: its declaration, its wire format, its live and past data
    spec, spellings     what a declaration says; adapter, history: what adapters of live and past data promise
    pages, candles      what adapters share; generic: the past of every exchange of ccxt that has no folder

To add an exchange, see docs/add-an-exchange.md: write its folder and add its declaration to `_LISTED`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cryptoviz.exchanges.binance.spec import BINANCE
from cryptoviz.exchanges.kraken.spec import KRAKEN
from cryptoviz.exchanges.spec import ExchangeSpec
from cryptoviz.exchanges.spellings import Spelling, Spellings, UnspelledPairError

_LISTED: Final = (KRAKEN, BINANCE)

EXCHANGES: Final[Mapping[str, ExchangeSpec]] = MappingProxyType({spec.name: spec for spec in _LISTED})
"""The exchanges that have a collector, by name. Others can have a past only, through ccxt."""

_PLAIN: Final = Spellings()


class ExchangeName(StrEnum):
    """The exchanges that have a collector, for forms that offer a choice."""

    _ignore_ = "_name"
    for _name in EXCHANGES:
        vars()[_name] = _name


@lru_cache(maxsize=4096)
def spelling(exchange: str, pair: str) -> Spelling:
    """How an exchange spells a pair; one without a folder of its own: as the platform does, without the stroke.

    Raises:
        UnspelledPairError: what the pair is called means another coin there.
    """
    return spellings(exchange).spelling(exchange, pair)


@lru_cache(maxsize=4096)
def pair_of(exchange: str, stream: str) -> str:
    """The pair that an exchange writes so in its WebSocket: LUNC/USD for Kraken's LUNA/USD.

    Raises:
        ValueError: it writes nothing between two coins.
    """
    return spellings(exchange).pair_of(stream)


def unconfirmed(exchange: str, pairs: Iterable[str], listed: Mapping[str, str | None]) -> dict[str, str]:
    """The pairs that must not be collected or fetched, and why: another coin could be stored under their name.

    `listed` has the name of every pair that the exchange has ever listed; without one name nothing is known of what it
    lists, and the spellings alone decide. A pair without a name was listed before names were kept.
    """
    known = exchange in EXCHANGES and any(name is not None for name in listed.values())
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


def spellings(exchange: str) -> Spellings:
    """An exchange's words; of one without a folder of its own the platform's."""
    spec = EXCHANGES.get(exchange)
    return _PLAIN if spec is None else spec.spellings
