"""Which coins a text is about. Precision before recall: a chart of LINK must not move because somebody wrote "link".

The coins, their words and the signs are data, `coins.json`; the rules are these:

- `names` (Bitcoin, Shiba Inu) mean the coin however they are written; `capital_names` (Ripple, Tether) only with their
  capitals. The longest name counts: Bitcoin Cash is not Bitcoin, nor is Bitcoin Gold. A coin's name in that of another
  that is not listed means none: Wrapped Solana, Monero Classic.
- `no_coins` are phrases that contain such a word and mean something else: ripple effect, ETH Zurich, Bitcoin Magazine.
- `everyday_names` (Avalanche, Optimism, The Graph) are words of the language. They need their capital and a sign that
  the network is meant: a word such as network, token or price after them, a word such as blockchain or protocol
  before them, their own ticker in parentheses, a rise or fall by a number, or a place in a list of coins.
- `tickers` (BTC, XRP) are capital letters that mean nothing else, and count wherever they stand.
- `ambiguous_tickers` (LINK, ADA, NEAR, OP) are other words or other bodies' names too. They need a dollar sign, a
  trading pair, the coin's name before their parentheses, an amount before them, a word of the market or a price
  move after them, or a place in a list of coins. A word in capitals beside them is a headline that shouts, no sign.
- `marked_tickers` (ONE, FLOW) are so common that only dollar sign, pair and parentheses count.
- Tickers are upper case, always. Addresses of web pages are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

COINS_FILE: Final = Path(__file__).with_name("coins.json")

_TOKEN: Final = re.compile(r"[A-Za-zÀ-ɏ][A-Za-z0-9À-ɏ]*|\d[\d.,]*(?:%|[KMBT]\b)?")
_WEB_ADDRESS: Final = re.compile(r"https?://\S+")
_QUOTES: Final = ("USDT", "USDC", "USD", "EUR", "BTC", "ETH", "PERP")
_STABLE: Final = frozenset({"USDT", "USDC"})
_BETWEEN_WORDS: Final = frozenset({" ", "-", ".", "\u2011"})
_BETWEEN_COINS: Final = frozenset({",", "/", "&", "+", "|", "and", ", and", "or", ", or", "\u3001", "\uff0c", "\u548c"})
_POSSESSIVE: Final = frozenset({"'", "\u2019"})
_YEAR: Final = re.compile(r"(19|20)\d\d$")


class _Kind(Enum):
    NAME = "names"
    CAPITAL = "capital_names"
    EVERYDAY = "everyday_names"
    NO_COIN = "no_coins"
    TICKER = "tickers"
    AMBIGUOUS = "ambiguous_tickers"
    MARKED = "marked_tickers"


_NAME_KINDS: Final = {kind.value: kind for kind in (_Kind.NAME, _Kind.CAPITAL, _Kind.EVERYDAY)}
_TICKER_KINDS: Final = {kind.value: kind for kind in (_Kind.TICKER, _Kind.AMBIGUOUS, _Kind.MARKED)}
_CERTAIN: Final = frozenset({_Kind.NAME, _Kind.CAPITAL, _Kind.TICKER})


@dataclass(frozen=True)
class _Word:
    """A name or a ticker: how it is written, the same in lower case, and whose it is."""

    written: tuple[str, ...]
    lowered: tuple[str, ...]
    symbol: str
    kind: _Kind


@dataclass
class _Hit:
    """Tokens `first` to `last` may mean a coin; `certain`: they do."""

    first: int
    last: int
    symbol: str
    kind: _Kind
    certain: bool


def mentions(text: str) -> tuple[str, ...]:
    """The symbols of the coins that a text is about, in the order in which it comes to them."""
    hits = _Reading(_WEB_ADDRESS.sub(" ", text) if "://" in text else text).hits()
    return tuple(dict.fromkeys(hit.symbol for hit in hits if hit.certain and hit.symbol))


@dataclass(frozen=True)
class _Lexicon:
    """Names by their first word, the longest first; tickers, and pairs of ticker and quote, as written; the signs."""

    names: dict[str, list[_Word]]
    tickers: dict[str, _Word]
    before_another: frozenset[str]
    after_another: frozenset[str]
    network: frozenset[str]
    market: frozenset[str]
    kinds: frozenset[str]
    certain_moves: frozenset[str]
    moves: frozenset[str]
    abbreviations: frozenset[str]


@cache
def _lexicon() -> _Lexicon:
    read: dict[str, Any] = json.loads(COINS_FILE.read_text(encoding="utf-8"))
    names: dict[str, list[_Word]] = {}
    tickers: dict[str, _Word] = {}
    for name in _names(read):
        names.setdefault(name.lowered[0], []).append(name)
    for words in names.values():
        words.sort(key=lambda name: -len(name.written))
    for coin in read["coins"]:
        symbol = coin["symbol"]
        for key, kind in _TICKER_KINDS.items():
            for ticker in coin.get(key, []):
                tickers |= {ticker + quote: _Word((), (), symbol, _Kind.TICKER) for quote in _QUOTES if quote != ticker}
                tickers[ticker] = _Word((ticker,), (ticker.lower(),), symbol, kind)
    signs = {name: frozenset(words) for name, words in read["signs"].items()}
    signs["market"] |= signs["network"]
    signs["moves"] |= signs["certain_moves"]
    return _Lexicon(names, tickers, **signs)


def _names(read: dict[str, Any]) -> Iterator[_Word]:
    lists = [(coin["symbol"], kind, coin.get(key, [])) for coin in read["coins"] for key, kind in _NAME_KINDS.items()]
    for symbol, kind, names in [*lists, ("", _Kind.NO_COIN, read["no_coins"])]:
        for name in names:
            yield _Word(tuple(name.split()), tuple(name.lower().split()), symbol, kind)


class _Reading:
    """One text, its tokens, and what lies between them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._lowered = [token.lower() for token in self._tokens]
        self._lexicon = _lexicon()

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return [found.span() for found in _TOKEN.finditer(self._text)]

    def hits(self) -> list[_Hit]:
        """Everything that may mean a coin, judged."""
        names, tickers = self._lexicon.names, self._lexicon.tickers
        hits: list[_Hit] = []
        at = 0
        for number, (token, lowered) in enumerate(zip(self._tokens, self._lowered, strict=True)):
            if number < at or not (lowered in names or token in tickers):
                continue
            hit = self._name(number) or self._ticker(number)
            if hit is not None:
                at = hit.last + 1
                hits.append(hit if not self._in_another(hit) else _Hit(hit.first, hit.last, "", _Kind.NO_COIN, False))
        if not all(hit.certain for hit in hits):
            self._judge(hits)
        return hits

    def _in_another(self, hit: _Hit) -> bool:
        """Whether a name or ticker is a part of the name of a coin that is not listed."""
        own = self._tokens[hit.first].lower() in self._lexicon.before_another  # Wrapped Bitcoin is listed
        before = self._word(hit.first - 1) if hit.first and self._between(hit.first - 1) in _BETWEEN_WORDS else ""
        after = (
            self._tokens[hit.last + 1] if hit.last + 1 < len(self._tokens) and self._between(hit.last) == " " else ""
        )
        return (not own and before in self._lexicon.before_another) or (
            after[:1].isupper() and after.lower() in self._lexicon.after_another
        )

    def _name(self, at: int) -> _Hit | None:
        for word in self._lexicon.names.get(self._lowered[at], []):
            last = at + len(word.written) - 1
            if tuple(self._lowered[at : last + 1]) != word.lowered:
                continue
            if any(self._between(number) not in _BETWEEN_WORDS for number in range(at, last)):
                continue
            written = tuple(self._tokens[at : last + 1])
            shouted = word.kind is _Kind.CAPITAL and "".join(written).isupper()
            if word.kind in (_Kind.NAME, _Kind.NO_COIN) or written == word.written or shouted:
                return _Hit(at, last, word.symbol, word.kind, word.kind in _CERTAIN)
        return None

    def _ticker(self, at: int) -> _Hit | None:
        word = self._lexicon.tickers.get(self._tokens[at])
        if at and self._tokens[at] in _STABLE and self._between(at - 1) in ("/", "-"):
            return None  # LINK/USDT is about LINK
        return None if word is None else _Hit(at, at, word.symbol, word.kind, word.kind in _CERTAIN)

    def _judge(self, hits: list[_Hit]) -> None:
        for before, hit in zip([None, *hits], hits, strict=False):
            hit.certain = hit.certain or self._has_sign(hit) or self._explains(before, hit)
        for beside, hit in [*pairwise(hits), *((hit, beside) for beside, hit in reversed([*pairwise(hits)]))]:
            may_be_coin = beside.certain and hit.kind in (_Kind.EVERYDAY, _Kind.AMBIGUOUS)
            hit.certain = hit.certain or (may_be_coin and self._in_one_list(beside, hit))

    def _explains(self, name: _Hit | None, ticker: _Hit) -> bool:
        """Harmony (ONE): the coin's name before the parentheses; then both mean it."""
        if name is None or name.symbol != ticker.symbol or ticker.first != name.last + 1:
            return False
        name.certain = name.certain or self._between(name.last) == " ("
        return name.certain and self._between(name.last) == " ("

    def _in_one_list(self, first: _Hit, second: _Hit) -> bool:
        left, right = sorted((first, second), key=lambda hit: hit.first)
        return self._text[self._spans[left.last][1] : self._spans[right.first][0]].strip() in _BETWEEN_COINS

    def _has_sign(self, hit: _Hit) -> bool:
        if hit.kind is _Kind.EVERYDAY:
            return self._network_meant(hit)
        marked = self._before(hit).endswith("$") or self._is_pair(hit)
        return marked or (hit.kind is _Kind.AMBIGUOUS and (self._amount(hit) or self._traded(hit)))

    def _network_meant(self, hit: _Hit) -> bool:
        before = self._tokens[hit.first - 1] if hit.first and self._between(hit.first - 1) == " " else ""
        if before.islower() and before in self._lexicon.kinds:
            return True
        after, owned = hit.last, False
        if self._word(after + 1) == "s" and self._between(after) in _POSSESSIVE:
            after, owned = after + 1, True
        if owned and self._word(after + 1)[:1].isdigit():
            return True
        return self._follows(after, self._lexicon.network) or (
            self._follows(after, self._lexicon.moves) and self._number_near(after + 2)
        )

    def _is_pair(self, hit: _Hit) -> bool:
        quoted = hit.last + 1 < len(self._tokens) and self._tokens[hit.last + 1] in _QUOTES
        return quoted and self._between(hit.last) in ("/", "-")

    def _amount(self, hit: _Hit) -> bool:
        """331 million ADA, 5,000 LINK; but not the 2023 DOT report, and no headline that shouts."""
        at = hit.first - 1
        if at < 0 or self._between(at) != " " or self._shouts(hit.last):
            return False
        if self._word(at) in ("thousand", "million", "billion"):
            at -= 1
        number = self._tokens[at] if at >= 0 else ""
        return number[:1].isdigit() and not number.endswith("%") and not _YEAR.match(number)

    def _traded(self, hit: _Hit) -> bool:
        after = hit.last
        moves = self._follows(after, self._lexicon.moves) and self._number_near(after + 2)
        return moves or self._follows(after, self._lexicon.market) or self._follows(after, self._lexicon.certain_moves)

    def _follows(self, at: int, words: frozenset[str]) -> bool:
        """Whether one of these words comes next, and not in capitals but for abbreviations."""
        if self._word(at + 1) not in words or self._between(at) not in _BETWEEN_WORDS:
            return False
        return not self._tokens[at + 1].isupper() or self._word(at + 1) in self._lexicon.abbreviations

    def _number_near(self, at: int) -> bool:
        return any(token[:1].isdigit() for token in self._tokens[at : at + 2])

    def _shouts(self, at: int) -> bool:
        token = self._tokens[at + 1] if at + 1 < len(self._tokens) else ""
        return len(token) > 1 and token.isupper() and token not in self._lexicon.tickers

    def _word(self, at: int) -> str:
        return self._lowered[at] if 0 <= at < len(self._lowered) else ""

    def _between(self, at: int) -> str:
        """What stands between a token and the next one."""
        return self._text[self._spans[at][1] : self._spans[at + 1][0]] if at + 1 < len(self._tokens) else ""

    def _before(self, hit: _Hit) -> str:
        start = self._spans[hit.first][0]
        return self._text[max(0, start - 1) : start]
