"""Sentiment of a text: polarity in [-1, 1] by TextBlob or VADER, score in [0, 1], label. The only importer of both.

text -> polarity -> score -> label
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, Final

from cryptoviz.records import Sentiment, SentimentLabel


class SentimentModel(StrEnum):
    """The models that can be chosen."""

    TEXTBLOB = "textblob"
    VADER = "vader"


MAX_CHARACTERS: Final = 4_000
"""Only the beginning of a longer text is scored: it has the essence, and no text takes long."""


def sentiment(text: str, model: SentimentModel = SentimentModel.TEXTBLOB) -> Sentiment:
    """The sentiment of the beginning of a text."""
    score = min(1.0, max(0.0, (polarity(text[:MAX_CHARACTERS], model) + 1) / 2))
    return Sentiment(score=score, label=SentimentLabel.of(score))


def polarity(text: str, model: SentimentModel = SentimentModel.TEXTBLOB) -> float:
    """The polarity of a text according to the model, from -1 (negative) to 1 (positive)."""
    return _models()[model](text)


def _models() -> dict[SentimentModel, Callable[[str], float]]:
    return {SentimentModel.TEXTBLOB: _textblob_polarity, SentimentModel.VADER: _vader_polarity}


def _textblob_polarity(text: str) -> float:
    from textblob import TextBlob  # noqa: PLC0415 - takes seconds to import

    return float(TextBlob(text).sentiment.polarity)


def _vader_polarity(text: str) -> float:
    return float(_vader().polarity_scores(text)["compound"])


@cache
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - reads two files

    return SentimentIntensityAnalyzer()
