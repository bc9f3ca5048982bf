"""How a text sounds: TextBlob's number, VADER's beside it, and what becomes of them."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from textblob import TextBlob
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from cryptoviz.records import SentimentLabel
from cryptoviz.sentiment import MAX_CHARACTERS, SentimentModel, polarity, sentiment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is good", 0.7),
        ("It isn't good", 0.7),  # TextBlob knows no such negation
        ("It is not good", -0.35),
        ("Very good!", 1.0),
        ("not good :-(", -0.55),
        ("Stellar gains (!)", 0.125),
    ],
)
def test_the_polarity_is_what_textblob_says(text: str, expected: float) -> None:
    assert polarity(text) == pytest.approx(expected, abs=1e-12)


def test_the_polarity_of_real_articles_is_exactly_textblobs_and_stays(shared_data: Path) -> None:
    with (shared_data / "news" / "newsapi_crypto_2022-12-23.csv").open(encoding="utf-8", newline="") as file:
        texts = [f"{row['title']}. {row['description']}\n\n{row['content']}" for row in csv.DictReader(file)]
    assert len(texts) == 100
    polarities = [polarity(text) for text in texts]
    assert polarities == [TextBlob(text).sentiment.polarity for text in texts]
    assert polarities[:5] == [0.0, -0.45, 0.25727272727272726, -0.25, -0.225]
    assert sum(polarities) == pytest.approx(3.980327527901392)


@pytest.mark.parametrize("text", ["Great gains, wonderful day!", "A terrible crash and awful losses", "BTC", ""])
def test_vader_is_a_model_too(text: str) -> None:
    assert polarity(text, SentimentModel.VADER) == SentimentIntensityAnalyzer().polarity_scores(text)["compound"]


@pytest.mark.parametrize("model", SentimentModel)
@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("An excellent, wonderful result", SentimentLabel.POSITIVE),
        ("A horrible, terrible result", SentimentLabel.NEGATIVE),
        ("A result", SentimentLabel.NEUTRAL),
        ("", SentimentLabel.NEUTRAL),
        ("比特币价格接近", SentimentLabel.NEUTRAL),
    ],
)
def test_the_score_lies_between_0_and_1_and_has_its_label(
    model: SentimentModel, text: str, label: SentimentLabel
) -> None:
    found = sentiment(text, model)
    assert found.score == (polarity(text, model) + 1) / 2
    assert 0 <= found.score <= 1
    assert found.label is label


def test_only_the_beginning_of_a_long_text_is_judged() -> None:
    beginning = "excellent " * (MAX_CHARACTERS // 10)
    assert sentiment(beginning + "terrible " * 100) == sentiment(beginning)


def test_the_models_are_imported_only_by_who_scores() -> None:
    heavy = "{'textblob', 'nltk', 'vaderSentiment', 'trafilatura', 'feedparser', 'dateparser'}"
    asked = f"import sys, cryptoviz.sentiment, cryptoviz.news.poll; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
