"""How a text sounds: TextBlob's number by a shorter way, VADER's beside it, and what becomes of them."""

# ruff: noqa: RUF001 - texts are typeset with such characters
from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from textblob import TextBlob
from textblob._text import EMOTICONS
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from cryptoviz.records import SentimentLabel
from cryptoviz.sentiment import MAX_CHARACTERS, SentimentModel, polarity, sentiment

FEELING = st.sampled_from(
    [
        *("good", "bad", "great!", "terrible", "awful.", "GOOD", "horribly", "very", "really", "hardly", "slightly"),
        *("not", "no", "never", "n't", "don't", "isn't", "won't", "bitcoin's", "'ll", "x", "5%", "$10", "2018)", "8"),
        *(".", ",", "!", "?", "...", "(", ")", "(!)", "( !", ":", ";", "=", "*", "“", "”", "’", "'", '"', "\n\n", "\t"),
        *("U.S.", "Mr.", "e.g.", "etc.", "a.", "END-OF-SENTENCE", "\xa0", "ﬁne", "İ", "好"),
        *(face for faces in EMOTICONS.values() for face in faces),
    ]
)
SPACES = st.sampled_from(["", " ", " ", " "])


@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.tuples(FEELING, SPACES).map("".join), max_size=25).map("".join),
    )
)
@example("It is 2018 ) and not good")
@example("not END-OF-SENTENCE good")
def test_the_polarity_is_exactly_textblobs(text: str) -> None:
    assert polarity(text) == TextBlob(text).sentiment.polarity


def test_the_polarity_is_exactly_textblobs_on_real_articles(shared_data: Path) -> None:
    with (shared_data / "news" / "newsapi_crypto_2022-12-23.csv").open(encoding="utf-8", newline="") as file:
        texts = [f"{row['title']}. {row['description']}\n\n{row['content']}" for row in csv.DictReader(file)]
    assert len(texts) == 100
    polarities = [polarity(text) for text in texts]
    assert polarities == [TextBlob(text).sentiment.polarity for text in texts]
    assert len(set(polarities)) > 50


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
