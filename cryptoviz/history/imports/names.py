"""What the name of a file says it holds: the pair that was asked for, another market, or nothing.

    data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip, BTC/USDT -> Says.PAIR
    TUSD_1.csv, BTC/USD                                                  -> Says.OTHER

No other pair is guessed at: the spellings of the pair that was asked for are made, and only they are it. What stands
beside them must be a word that says nothing about the market (`trades`, `1m`, a date). Where the name itself says
nothing, the folder does (`BTCUSDT/2024-01.csv`, `BTC/USDT/1h.csv`, `symbol=BTC-USD/...`).
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

from cryptoviz.spellings import UnspelledPairError, pair_of, spelling


class Says(StrEnum):
    """What a name says."""

    PAIR = "the pair"
    MORE = "the pair and a word that nobody knows"
    NOTHING = "no pair"
    OTHER = "another pair or exchange"
    MARKET = "another kind of market than spot"


@dataclass(frozen=True)
class Verdict:
    """What a name says, and why it is not simply the pair; the reason follows the name of the file."""

    says: Says
    reason: str = ""


_MARKETS: Final = {
    **dict.fromkeys(("futures", "future", "fut"), "futures"),
    **dict.fromkeys(("swap", "swaps", "perp", "perps", "perpetual", "perpetuals"), "perpetual swaps"),
    **dict.fromkeys(("um", "usdm", "cm", "coinm", "linear", "inverse", "delivery", "derivatives"), "futures"),
    **dict.fromkeys(("option", "options", "eohsummary", "bvolindex"), "options"),
    **dict.fromkeys(("mark", "markprice", "markpriceklines"), "mark prices"),
    **dict.fromkeys(("index", "indexprice", "indexpriceklines"), "index prices"),
    **dict.fromkeys(("premium", "premiumindex", "premiumindexklines"), "the premium index of futures"),
    **dict.fromkeys(("funding", "fundingrate"), "funding rates"),
    **dict.fromkeys(("bookdepth", "bookticker", "orderbook", "metrics", "liquidationsnapshot"), "no trades or candles"),
}
"""Words in names and folders of files that hold no spot trades or candles, and what those hold."""

_FOLDERS: Final = _MARKETS.keys() - {"fut", "mark", "index", "premium", "funding", "metrics", "linear", "inverse"}
"""Those that count as the whole name of a folder; the others may be anybody's folder."""
_FUTURES: Final = frozenset(("futures", "perp", "perpetual", "perpetuals", "swap", "swaps"))
"""Those that count as a part of it: binance-futures."""

_NEUTRAL: Final = frozenset((
    "agg", "aggtrades", "all", "apr", "april", "archive", "aug", "august", "backup", "bar", "bars", "book",
    "candle", "candles", "clean", "combined", "complete", "copy", "csv", "d", "daily", "data", "dataset", "day",
    "days", "dec", "december", "download", "downloads", "dump", "export", "feather", "feb", "february", "files",
    "final", "from", "full", "hist", "historic", "historical", "history", "hour", "hourly", "hours", "import",
    "in", "incremental", "jan", "january", "json", "jul", "july", "jun", "june", "kline", "klines", "mar",
    "march", "market", "may", "merged", "min", "minute", "minutely", "minutes", "month", "monthly", "my", "new",
    "nov", "november", "oct", "october", "ohlc", "ohlcv", "ohlcvt", "old", "our", "out", "output", "parquet",
    "part", "prices", "raw", "sample", "sep", "september", "snappy", "sorted", "spot", "test", "tick", "ticks",
    "time", "tmp", "to", "trade", "trades", "trading", "until", "update", "updates", "utc", "week", "weekly",
    "year", "yearly",
))  # fmt: skip
"""Words that say nothing about the market."""
_NEUTRAL_CAPITALS: Final = frozenset((
    "CSV", "GMT", "OHLC", "OHLCV", "OHLCVT", "UTC",
))  # fmt: skip
"""Those that say nothing in capitals either: DATA, DAY and others are coins."""

_EXCHANGES: Final = frozenset((
    "binance", "binanceus", "bitfinex", "bitget", "bitmex", "bitstamp", "bybit", "coinbase", "coinbasepro",
    "cryptocom", "deribit", "gateio", "gemini", "htx", "huobi", "kraken", "krakenfutures", "kucoin",
    "mexc", "okex", "okx", "poloniex", "upbit",
))  # fmt: skip
_QUOTES: Final = (
    "AUD", "BIDR", "BNB", "BRL", "BTC", "BUSD", "CHF", "DAI", "ETH", "EUR", "FDUSD", "GBP", "IDRT", "JPY",
    "KRW", "PLN", "PYUSD", "TUSD", "UAH", "USD", "USDC", "USDT", "XBT",
)  # fmt: skip
"""What words end in that are pairs though they are not in capitals; only to notice what somebody named by mistake."""

_LENGTH: Final = re.compile(
    r"\d+(s|sec|m|min|h|hour|d|day|w|week|mo|month)?|[mhdw]\d*|mn1|(\d{4})?q[1-4]|[rv]\d+|part\d+"
    r"|\d+t\d*z?|\d+z|\d{0,2}(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\d{4}"
)
"""Lengths of candles, dates with times, numbers of parts."""
_CHECKSUM: Final = re.compile(r"(?=[a-f]*\d)[0-9a-f]{4,64}")
_WORDS: Final = re.compile(r"[^\s\-_,;:/()\[\]=+~]+")
_ENDS: Final = "its name says {!r}: a contract that ends that day, not the spot market"
_EXPIRY: Final = re.compile(r"(\d{6})(?:[A-Z].*)?|(\d{1,2}[A-Z]{3}\d{2})(?:[A-Z].*)?")


def verdict(parts: Sequence[str], exchange: str, pair: str) -> Verdict:
    """What the name of a file says. `parts`: the folders it lies in, from the outermost on, and its name."""
    *folders, stem = (part.rpartition("=")[2] for part in parts)
    found = _market(stem) or _market_folder(folders) or _exchange(stem, folders, exchange, pair)
    return found or _of_name(stem, exchange, pair) or _of_folders(folders, exchange, pair)


def _market(name: str) -> Verdict | None:
    """Whether a name says another kind of market, whatever the pair."""
    words = [word.lower() for word in _words(name)]
    joined = [first + second for first, second in pairwise(words)]
    for word in (*words, *joined):
        if word in _MARKETS:
            return Verdict(Says.MARKET, f"its name says {word!r}: {_MARKETS[word]}, not the spot market")
    return None


def _market_folder(folders: Sequence[str]) -> Verdict | None:
    """Whether the nearest folder that says a kind of market says another than spot."""
    for folder in reversed(folders):
        words = [word.lower() for word in _words(folder)]
        if "spot" in words:
            return None
        whole = "".join(words)
        found = whole if whole in _FOLDERS else next((word for word in words if word in _FUTURES), None)
        if found is not None:
            return Verdict(Says.MARKET, f"it lies in {folder!r}: {_MARKETS[found]}, not the spot market")
    return None


def _exchange(stem: str, folders: Sequence[str], exchange: str, pair: str) -> Verdict | None:
    """Whether the name, or else the folder of an exchange that it lies in, says another exchange."""
    for name in (stem, *reversed(folders)):
        named = [word.lower() for word in _words(name) if word.lower() in {exchange, *_EXCHANGES}]
        if exchange in named:
            return None
        if named:
            return Verdict(Says.OTHER, f"{name!r} says {named[0]}, not {exchange}")
        if name != stem and _of_name(name, exchange, pair) not in (None, Verdict(Says.PAIR)):
            return None
    return None


def _of_name(name: str, exchange: str, pair: str) -> Verdict | None:
    """What a name says; None where it has only words that say nothing."""
    found = _pattern(exchange, pair).search(name.upper())
    if found is None:
        return _without_pair(name, exchange, pair)
    after = _words(name[found.end() :])
    if after and after[0].upper() in {*_QUOTES, *pair.split("/")}:
        settled = f"its name says {after[0]!r} after the pair: a contract that is settled in it, not the spot market"
        return Verdict(Says.MARKET, settled)
    expiry = next((word for word in after if _expires(word)), None)
    if expiry is not None:
        return Verdict(Says.MARKET, _ENDS.format(expiry))
    others = (word for word in after if not _pattern(exchange, pair).fullmatch(word.upper()))
    left = [word for word in (*_words(name[: found.start()]), *others) if not _neutral(word, exchange)]
    if any(_like_market(word) for word in left):
        return Verdict(Says.OTHER, f"its name says {', '.join(left)} beside {pair}")
    if left:
        return Verdict(Says.MORE, f"its name says {', '.join(left)} beside {pair}, which may be anything")
    return Verdict(Says.PAIR)


def _without_pair(name: str, exchange: str, pair: str) -> Verdict | None:
    base, quote = pair.split("/")
    words = _words(name)
    contract = next((word for before, word in pairwise(words) if before == base and _expires(word)), None)
    if contract is not None:
        return Verdict(Says.MARKET, _ENDS.format(contract))
    # The base alone says no pair.
    left = [word for word in words if not _neutral(word, exchange) and word.upper() != base]
    if re.search(rf"(?<![A-Z0-9.]){base}[-_/ ]?{quote}(?![A-Z0-9])", name.upper()):
        return Verdict(Says.OTHER, f"its name says {name}, which is another coin's name at {exchange}")
    if any(_like_market(word) for word in left):
        return Verdict(Says.OTHER, f"its name says {name}, not {pair}")
    return Verdict(Says.NOTHING, f"its name does not say {pair}") if left else None


def _of_folders(folders: Sequence[str], exchange: str, pair: str) -> Verdict:
    """What the nearest folder says whose name says anything."""
    for place in range(len(folders), 0, -1):
        folder, outer = folders[place - 1], folders[place - 2] if place > 1 else ""
        if _pattern(exchange, pair).fullmatch(f"{outer}/{folder}".upper()):
            return Verdict(Says.PAIR)
        found = _of_name(folder, exchange, pair)
        if found is not None and found.says is not Says.NOTHING:
            found = _market(folder) or found
        if found is None:
            continue
        if found.says in (Says.PAIR, Says.MARKET):
            return found
        if found.says is Says.OTHER and any(_quoted(word) for word in _words(folder)):
            return Verdict(Says.OTHER, f"it lies in {folder!r}, which is not {pair}")
        break
    return Verdict(Says.NOTHING, f"neither its name nor its folder says {pair}")


@lru_cache(maxsize=64)
def _pattern(exchange: str, pair: str) -> re.Pattern[str]:
    """Finds the pair in a name in capitals. `ETH2.SUSD` is no `SUSD`, `BTCUSD.P` no `BTCUSD`."""
    spellings = sorted(_spellings(exchange, pair), key=len, reverse=True)
    return re.compile(rf"(?<![A-Z0-9.])(?:{'|'.join(spellings)})(?![A-Z0-9])(?!\.[A-Z])")


def _spellings(exchange: str, pair: str) -> Iterator[str]:
    """How files of the exchange, and of programs in the platform's words, write the pair, as patterns.

    A name that means one coin to the exchange and another to everybody else is neither, unless it is written without
    a mark between the coins, as only the exchange does.
    """
    theirs = spelling(exchange, pair)
    yield re.escape(theirs.rest)
    base, quote = pair.split("/")
    codes = {(base, quote), tuple(theirs.stream.split("/"))}
    if theirs.rest.startswith(base):
        codes.add((base, theirs.rest.removeprefix(base)))
    if theirs.rest.endswith(quote):
        codes.add((theirs.rest.removesuffix(quote), quote))
    for one in codes:
        if len(one) == 2 and all(one) and _is_only(exchange, "/".join(one), pair):
            yield "[-_/ ]?".join(re.escape(coin) for coin in one)


def _is_only(exchange: str, written: str, pair: str) -> bool:
    """Whether what is written is this pair to the exchange, and no other to the platform."""
    try:
        same = spelling(exchange, written) == spelling(exchange, pair)
    except UnspelledPairError:  # the exchange's own name, which the platform never uses: XBT
        return True
    return same and pair_of(exchange, written) == pair


def _words(name: str) -> list[str]:
    return [word.strip(".") for word in _WORDS.findall(name) if word.strip(".")]


def _neutral(word: str, exchange: str) -> bool:
    if word.lower() == exchange or word in _NEUTRAL_CAPITALS:
        return True
    if word.isupper() and word.isalpha() and len(word) > 1:
        return False
    return all(
        part.lower() in _NEUTRAL or bool(_LENGTH.fullmatch(part.lower()) or _CHECKSUM.fullmatch(part))
        for part in word.split(".")
    )


def _like_market(word: str) -> bool:
    """Whether a word may be a pair or a coin: exchanges and programs write those in capitals."""
    return (len(word) > 1 and word.partition(".")[0].isupper()) or _quoted(word)


def _quoted(word: str) -> bool:
    return word.upper().endswith(_QUOTES)


def _expires(word: str) -> bool:
    found = _EXPIRY.fullmatch(word.upper())
    text, form = (found.group(1) or found.group(2), "%y%m%d" if found.group(1) else "%d%b%y") if found else ("", "")
    try:
        return bool(text and datetime.strptime(text, form))  # noqa: DTZ007 - only whether it is a day
    except ValueError:
        return False
