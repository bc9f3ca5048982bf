"""What the name of a file says it holds: the pair that was asked for, another market, or nothing.

    data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip, BTC/USDT -> Says.PAIR
    TUSD_1.csv, BTC/USD                                                  -> Says.OTHER

One rule: a name is made of the pair, as its exchange or a program writes it, and of words that say nothing about the
market (`trades`, `1m`, a date), whatever their case. With the pair it says the pair; of such words alone it says
nothing, and the folder counts (`BTCUSDT/2024-01.csv`, `BTC/USDT/1h.csv`, `symbol=BTC-USD/...`); any other word makes it
something else. No other pair is guessed at.

Folders inside what was asked for are part of what somebody packed or downloaded: any word in them that is another kind
of market or another exchange counts. Those above it may be anybody's: they count only if such words are their whole
name, and whoever asks may vouch for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptoviz.exchanges import spelling, spellings
from cryptoviz.exchanges.spellings import UnspelledPairError
from cryptoviz.imports.words import ANYBODYS, CAPITAL_QUOTES, EXCHANGES, MARKETS, NEUTRAL, QUOTES, RENAMED


class NameMeaning(StrEnum):
    """What a name says."""

    PAIR = "the pair"
    MORE = "the pair and a word that nobody knows"
    NOTHING = "no pair"
    OTHER = "another pair or exchange"
    MARKET = "another kind of market than spot"


@dataclass(frozen=True)
class Verdict:
    """What a name says, and why it is not simply the pair; the reason follows the name of the file.

    `above`: a folder above what was asked for says so.
    """

    says: NameMeaning
    reason: str = ""
    above: bool = False


_LENGTH: Final = re.compile(
    r"\d+(s|sec|m|mins?|minutes?|h|hours?|d|days?|w|weeks?|mo|months?)?|[mhdw]\d*|mn1|(\d{4})?q[1-4]|[rv]\d+|part\d+"
    r"|\d+t\d*z?|\d+z|\d{0,2}(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\d{4}"
)
"""Lengths of candles, dates with times, numbers of parts."""
_CHECKSUM: Final = re.compile(r"(?=[a-f]*\d)[0-9a-f]{4,64}")
_WORDS: Final = re.compile(r"[^\s\-_.,;:/()\[\]=+~]+")
_ENDS: Final = "its name says {!r}: a contract that ends that day, not the spot market"
_EXPIRY: Final = re.compile(r"(\d{6})(?:[A-Z].*)?|(\d{1,2}[A-Z]{3}\d{2})(?:[A-Z].*)?")
_MARK: Final = "[-_/ :.]?"
"""What may stand between the two coins of a pair."""
_MINUTES: Final = "(?:1|5|15|30|60|240|1440|10080|43200)?"
"""MetaTrader writes the length of candles right behind the pair: BTCUSDT60."""


def verdict(above: Sequence[str], inside: Sequence[str], exchange: str, pair: str, *, vouched: bool = False) -> Verdict:
    """What the name of a file says.

    `above`: the folders that what was asked for lies in, from the outermost on; `inside`: those in it, and the name.
    `vouched`: whatever those above are called, it is of that exchange and pair.
    """
    outer, [*inner, stem] = ([part.rpartition("=")[2] for part in parts] for parts in (above, inside))
    # BTC/USDT.csv
    nearest = inner or outer
    if (
        nearest
        and _pattern(exchange, pair).match(f"{nearest[-1]}/{stem}")
        and not _pattern(exchange, pair).search(stem)
    ):
        stem = f"{nearest.pop()}/{stem}"
    found = _market(stem, exchange, pair) or _inside(stem, inner, exchange, pair)
    if found is None and not vouched:
        settled = any(_exchanges(name, exchange, pair) for name in (stem, *inner))
        found = _above(outer, exchange, pair, settled=settled)
    return found or _of_name(stem, exchange, pair) or _of_folders(outer, inner, exchange, pair, vouched=vouched)


def _market(name: str, exchange: str, pair: str) -> Verdict | None:
    """Whether a name says another kind of market beside the pair."""
    word = next((word for word in _known(name, exchange, pair) if word in MARKETS), None)
    return (
        Verdict(NameMeaning.MARKET, f"its name says {word!r}: {MARKETS[word]}, not the spot market") if word else None
    )


def _inside(stem: str, folders: Sequence[str], exchange: str, pair: str) -> Verdict | None:
    """Whether a folder says another kind of market, or the nearest name of an exchange is another's."""
    kept = _without_coins(folders, exchange, pair)
    for folder in reversed(kept):
        word = next((word for word in _known(folder, exchange, pair) if word in MARKETS), None)
        if word:
            return Verdict(NameMeaning.MARKET, f"it lies in {folder!r}: {MARKETS[word]}, not the spot market")
    for name in (stem, *reversed(kept)):
        named = _exchanges(name, exchange, pair)
        if named:
            return None if _same(exchange) in named else _of_another(name, named[0], exchange)
    return None


def _above(folders: Sequence[str], exchange: str, pair: str, *, settled: bool) -> Verdict | None:
    """Whether the nearest folder whose whole name is a kind of market or an exchange is another than was asked for.

    `settled`: of which exchange it is, the names below have said.
    """
    for folder in reversed(_without_coins(folders, exchange, pair)):
        words = _known(folder, exchange, pair)
        if not _all_known(folder, exchange):
            continue
        market = next((word for word in words if word in MARKETS and word not in ANYBODYS), None)
        if market:
            return Verdict(
                NameMeaning.MARKET, f"it lies in {folder!r}: {MARKETS[market]}, not the spot market", above=True
            )
        if "spot" in words:
            return None
        named = _exchanges(folder, exchange, pair)
        if named and not settled and _same(exchange) not in named:
            return _of_another(folder, named[0], exchange, above=True)
        settled = settled or bool(named)
    return None


def _all_known(folder: str, exchange: str) -> bool:
    words = _lower(folder)
    known = MARKETS.keys() | EXCHANGES
    return "".join(words) in known or all(word in known or _neutral(word, exchange) for word in words)


def _of_another(name: str, named: str, exchange: str, *, above: bool = False) -> Verdict:
    return Verdict(NameMeaning.OTHER, f"{name!r} says {named}, not {exchange}", above)


def _without_coins(folders: Sequence[str], exchange: str, pair: str) -> list[str]:
    """The folders that are not the coins of the pair, one in the other or the first alone."""
    left = list(folders)
    for place in range(len(left) - 1, -1, -1):
        if place and _pattern(exchange, pair).fullmatch(f"{left[place - 1]}/{left[place]}"):
            left[place - 1 : place + 1] = ["", ""]
        elif left[place].upper() == pair.partition("/")[0]:
            left[place] = ""
    return [folder for folder in left if folder]


def _known(name: str, exchange: str, pair: str) -> list[str]:
    """The words of a name beside the pair, or else beside its first coin, in lower case, also two and two as one."""
    found = _pattern(exchange, pair).search(name)
    words = _lower(_pattern(exchange, pair).sub(" ", name) if found else name)
    base = pair.partition("/")[0].lower()
    if not found and base in words:
        words.remove(base)
    return [word for word in (*_joined(words), *words) if word != exchange]


def _joined(words: Sequence[str]) -> list[str]:
    return [first + second for first, second in pairwise(words)]


def _exchanges(name: str, exchange: str, pair: str) -> list[str]:
    """The exchanges that a name says beside the pair: `binance us` is one."""
    words = _lower(_pattern(exchange, pair).sub(" ", name))
    base = pair.partition("/")[0].lower()
    both = [word for word in _joined(words) if word in EXCHANGES]
    each = [word for word in words if word in {exchange, *EXCHANGES} and (word != base or word == exchange)]
    return [_same(word) for word in both or each]


def _same(exchange: str) -> str:
    return RENAMED.get(exchange, exchange)


def _of_name(name: str, exchange: str, pair: str) -> Verdict | None:
    """What a name says; None where it has only words that say nothing."""
    pattern = _pattern(exchange, pair)
    found = pattern.search(name)
    if found is None:
        return _without_pair(name, exchange, pair)
    after = _words(name[found.end() :])
    if after and after[0].upper() in {*QUOTES, *pair.split("/")} and not _neutral(after[0], exchange):
        settled = f"its name says {after[0]!r} after the pair: a contract that is settled in it, not the spot market"
        return Verdict(NameMeaning.MARKET, settled)
    expiry = next((word for word in after if _expires(word)), None)
    if expiry is not None:
        return Verdict(NameMeaning.MARKET, _ENDS.format(expiry))
    left = [word for word in _words(pattern.sub(" ", name)) if not _neutral(word, exchange)]
    if left:
        return Verdict(NameMeaning.MORE, f"its name says {', '.join(left)} beside {pair}, which may be anything")
    return Verdict(NameMeaning.PAIR)


def _without_pair(name: str, exchange: str, pair: str) -> Verdict | None:
    base, quote = pair.split("/")
    words = _words(name)
    contract = next((word for before, word in pairwise(words) if before.upper() == base and _expires(word)), None)
    if contract is not None:
        return Verdict(NameMeaning.MARKET, _ENDS.format(contract))
    written = rf"(?<![A-Z0-9.]){re.escape(base)}{_MARK}{re.escape(quote)}(?![A-Z0-9])"
    if not _is_only(exchange, pair, pair) and re.search(written, name.upper()):
        return Verdict(NameMeaning.OTHER, f"its name says {name}, which is another coin's name at {exchange}")
    if all(len(word) == 1 or _neutral(word, exchange) for word in words):
        return None
    return Verdict(NameMeaning.OTHER, f"its name says {name}, not {pair}")


def _of_folders(outer: Sequence[str], inner: Sequence[str], exchange: str, pair: str, *, vouched: bool) -> Verdict:
    """What the nearest folder says whose name says anything."""
    folders = [*outer, *inner]
    for place in range(len(folders), 0, -1):
        folder, above = folders[place - 1], place <= len(outer)
        if place > 1 and _pattern(exchange, pair).fullmatch(f"{folders[place - 2]}/{folder}"):
            return Verdict(NameMeaning.PAIR)
        found = _of_name(folder, exchange, pair)
        if found is None or folder.upper() == pair.partition("/")[0]:
            continue
        if found.says is NameMeaning.PAIR:
            return found
        if above and (vouched or not _quoted(folder)):
            break
        return Verdict(found.says, f"it lies in {folder!r}, which is not {pair}", above)
    return Verdict(NameMeaning.NOTHING, f"neither its name nor its folder says {pair}")


@lru_cache(maxsize=64)
def _pattern(exchange: str, pair: str) -> re.Pattern[str]:
    """Finds the pair in a name. `ETH2.SUSD` is no `SUSD`, `BTCUSD.P` no `BTCUSD`."""
    minutes = _MINUTES.replace("1|", "", 1) if pair.endswith("/USD") else _MINUTES  # BTCUSD1 is BTC/USD1
    spellings = "|".join(sorted(_spellings(exchange, pair), key=len, reverse=True))
    return re.compile(
        rf"(?<![A-Z0-9])(?<![A-Z]\d\.)(?:{spellings}){minutes}(?![A-Z0-9])(?!\.[A-Z](?![A-Z0-9]))",
        re.IGNORECASE | re.ASCII,
    )


def _spellings(exchange: str, pair: str) -> Iterator[str]:
    """How files of the exchange, and of programs in the platform's words, write the pair, as patterns.

    A name that means one coin to the exchange and another to everybody else is neither, unless it is written without
    a mark between the coins, as only the exchange does.
    """
    theirs = spelling(exchange, pair)
    yield re.escape(theirs.rest)
    base, quote = pair.split("/")
    words = spellings(exchange)
    codes = {(base, quote), words.stream_coins(theirs.stream)}
    if theirs.rest.startswith(base):
        codes.add((base, theirs.rest.removeprefix(base)))
    if theirs.rest.endswith(quote):
        codes.add((theirs.rest.removesuffix(quote), quote))
    for coins in codes:
        if len(coins) == 2 and all(coins) and _is_only(exchange, "/".join(coins), pair):
            yield _MARK.join(re.escape(coin) for coin in coins)
    for place in range(1, len(theirs.rest)):
        first, second = theirs.rest[:place], theirs.rest[place:]
        if first in words.long_codes and second in words.long_codes:
            yield words.long_codes[first] + words.long_codes[second]


def _is_only(exchange: str, written: str, pair: str) -> bool:
    """Whether what is written is this pair to the exchange, and no other to the platform."""
    try:
        same = spelling(exchange, written) == spelling(exchange, pair)
    except UnspelledPairError:  # the exchange's own name, which the platform never uses: XBT
        return True
    return same and "/".join(map(spellings(exchange).coin_of, written.split("/"))) == pair


def _words(name: str) -> list[str]:
    return _WORDS.findall(name)


def _lower(name: str) -> list[str]:
    return [word.lower() for word in _words(name)]


def _neutral(word: str, exchange: str) -> bool:
    small = word.lower()
    return (
        _same(small) == _same(exchange)
        or small in NEUTRAL
        or bool(_LENGTH.fullmatch(small) or _CHECKSUM.fullmatch(word))
    )


def _quoted(folder: str) -> bool:
    """Whether a folder is called like a pair."""
    first, *others = _words(folder.upper()) or [""]
    if any(word in (*QUOTES, *CAPITAL_QUOTES) for word in others):
        return True
    quotes = (*QUOTES, *CAPITAL_QUOTES) if folder.isupper() else QUOTES
    return any(word.endswith(quotes) and word not in quotes for word in (first, *others))


def _expires(word: str) -> bool:
    found = _EXPIRY.fullmatch(word.upper())
    text, form = (found.group(1) or found.group(2), "%y%m%d" if found.group(1) else "%d%b%y") if found else ("", "")
    try:
        return bool(text and datetime.strptime(text, form))  # noqa: DTZ007 - only whether it is a day
    except ValueError:
        return False
