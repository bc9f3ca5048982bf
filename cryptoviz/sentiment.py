"""How a text sounds: a polarity in [-1, 1] by TextBlob or VADER, a score in [0, 1], a label; the only importer of both.

    text -> polarity -> score -> label

TextBlob's polarity is reached by its own lexicon and its own rules, by a shorter way: `TextBlob(text)` defines a new
class with every score, asks a lazily loaded dictionary as if it might still be empty, and splits every word into its
parts anew. What comes out is the same number; tests hold it to `TextBlob(text).sentiment.polarity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Final

from cryptoviz.records import Sentiment, SentimentLabel


class SentimentModel(StrEnum):
    """The models that can be chosen."""

    TEXTBLOB = "textblob"
    VADER = "vader"


MAX_CHARACTERS: Final = 4_000
"""Of a longer text only the beginning is judged: what matters stands there, and nobody's text holds us up."""

_CONTRACTION: Final = re.compile("'(?:d|m|s|ll|re|ve)|n't")
_QUOTE: Final = re.compile("[\u201c\u201d\u2018\u2019'\"]")
_CACHED_WORDS: Final = 20_000


def sentiment(text: str, model: SentimentModel = SentimentModel.TEXTBLOB) -> Sentiment:
    """The sentiment of the beginning of a text."""
    score = min(1.0, max(0.0, (polarity(text[:MAX_CHARACTERS], model) + 1) / 2))
    return Sentiment(score=score, label=SentimentLabel.of(score))


def polarity(text: str, model: SentimentModel = SentimentModel.TEXTBLOB) -> float:
    """What the model says of a text, from -1 (negative) to 1 (positive)."""
    return _models()[model](text)


def _models() -> dict[SentimentModel, Callable[[str], float]]:
    return {SentimentModel.TEXTBLOB: _textblob_polarity, SentimentModel.VADER: _vader_polarity}


def _textblob_polarity(text: str) -> float:
    rules = _rules()
    found: float = rules.lexicon(rules.words(text))[0]
    return found


def _vader_polarity(text: str) -> float:
    return float(_vader().polarity_scores(text)["compound"])


@cache
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - reads two files

    return SentimentIntensityAnalyzer()


@cache
def _rules() -> _Rules:
    return _Rules()


class _Rules:
    """TextBlob's lexicon in a dictionary that knows it is full, and TextBlob's way to split a text into words."""

    def __init__(self) -> None:
        from textblob import _text, en  # noqa: PLC0415 - takes seconds to import: only who scores pays

        class Lexicon(en.Sentiment):  # type: ignore[misc, unused-ignore]
            __contains__ = dict.__contains__
            __getitem__ = dict.__getitem__
            get = dict.get

        given = en.sentiment
        given.load()
        self.lexicon = Lexicon(
            negations=given.negations, modifiers=given.modifiers, modifier=given.modifier, tokenizer=given.tokenizer
        )
        dict.update(self.lexicon, given)
        self.lexicon.labeler.update(given.labeler)
        self._tokenize = given.tokenizer
        self._emoticons, self._sarcasm = _text.RE_EMOTICONS, _text.RE_SARCASM
        self._end = _text.EOS
        self._abbreviations = _text.ABBREVIATIONS
        self._abbreviated = (_text.RE_ABBR1, _text.RE_ABBR2, _text.RE_ABBR3)
        self._punctuation = tuple(_text.PUNCTUATION.replace(".", ""))
        self._parts = lru_cache(_CACHED_WORDS)(self._split)

    def words(self, text: str) -> list[str]:
        """The words of a text in lower case, punctuation apart.

        TextBlob also joins emoticons and sarcasm, sentence by sentence; where there may be one, and where
        its own mark for the end of a sentence is in the text, it does all the work.
        """
        spaced = _QUOTE.sub(r" \g<0> ", _CONTRACTION.sub(r" \g<0>", text))
        parts = [part for word in spaced.split() for part in self._parts(word)]
        joined = " ".join(parts)
        if self._emoticons.search(joined) or self._sarcasm.search(joined) or self._end in text:
            joined = " ".join(self._tokenize(text))
        return joined.lower().split()

    def _split(self, word: str) -> tuple[str, ...]:
        """A word without spaces in its parts: leading punctuation, the word, trailing punctuation."""
        leading: list[str] = []
        trailing: list[str] = []
        while word.startswith(self._punctuation):
            leading.append(word[0])
            word = word[1:]
        while word.endswith((*self._punctuation, ".")):
            if word.endswith(self._punctuation):
                trailing.append(word[-1])
                word = word[:-1]
            if word.endswith("..."):
                trailing.append("...")
                word = word[:-3].rstrip(".")
            if word.endswith("."):
                if word in self._abbreviations or any(pattern.match(word) for pattern in self._abbreviated):
                    break
                trailing.append(".")
                word = word[:-1]
        return (*leading, *([word] if word else []), *reversed(trailing))
