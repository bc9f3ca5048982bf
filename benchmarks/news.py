"""News understood, markup to score, beside bare TextBlob on the same texts.

    TextBlob    : the text, already clean -> TextBlob(text).sentiment.polarity
    cryptoviz   : the summary as a feed has it -> plain text -> coins mentioned -> the same polarity -> score, label

The texts are the first 60 words of the recorded articles, in the markup of Cointelegraph's feed. The polarity is
TextBlob's own, so the whole can only cost more: how much, is the ratio.

`python -m benchmarks.news`
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable
from html import escape
from pathlib import Path

from textblob import TextBlob

from cryptoviz.news.mentions import mentions
from cryptoviz.news.text import plain
from cryptoviz.sentiment import SentimentModel, sentiment
from cryptoviz.settings import PROJECT_ROOT

ARTICLES = PROJECT_ROOT.parent / "shared" / "data" / "news" / "newsapi_crypto_2022-12-23.csv"
WORDS = 60
ROUNDS = 15
BUDGET = 0.5
"""Share of bare TextBlob's speed that is left once a text is cleaned and its coins are found."""

_MARKUP = (
    '<p style="float:right; margin:0 0 10px 15px; width:240px;"><img src="https://images.example.com/cover.png" '
    'alt="{title}" class="type:primaryImage"></p><p>{text}</p>'
)


def load(path: Path) -> list[tuple[str, str]]:
    """Each article's text, and the markup that a feed would wrap it in."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["title"], " ".join((row["description"], row["content"]))) for row in csv.DictReader(file)]
    texts = [(title, " ".join(f"{title}. {text}".split()[:WORDS])) for title, text in rows]
    return [(text, _MARKUP.format(title=escape(title), text=escape(text))) for title, text in texts]


def understand(markup: str) -> None:
    """What a poll does with the text of an article."""
    text = plain(markup)
    mentions(text)
    sentiment(text)


def rate(act: Callable[[str], object], inputs: list[str]) -> float:
    """Inputs a CPU-second."""
    began = time.process_time()
    for one in inputs:
        act(one)
    return len(inputs) / (time.process_time() - began)


def main() -> int:
    """Print articles a second per core beside bare TextBlob; 0 when the budget is met."""
    if not ARTICLES.exists():
        print(f"news: skipped, {ARTICLES} is absent")
        return 0
    articles = load(ARTICLES)
    texts, marked = [text for text, _ in articles], [markup for _, markup in articles]
    if [plain(markup) for markup in marked] != [" ".join(text.split()) for text in texts]:
        raise AssertionError("cleaning changed the words")
    kinds: dict[str, tuple[Callable[[str], object], list[str]]] = {
        "bare TextBlob": (lambda text: TextBlob(text).sentiment.polarity, texts),
        "clean, mentions, score": (understand, marked),
        "  clean": (plain, marked),
        "  mentions": (mentions, texts),
        "  score": (sentiment, texts),
        "  score by VADER": (lambda text: sentiment(text, SentimentModel.VADER), texts),
    }
    rounds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (act, inputs) in kinds.items():
            rounds[name].append(rate(act, inputs))
    rates = {name: statistics.median(found) for name, found in rounds.items()}
    words = statistics.mean(len(text.split()) for text in texts)
    whole, bare = rates["clean, mentions, score"], rates["bare TextBlob"]
    print(f"news: {len(texts)} articles of {words:.0f} words, articles a second per core, median of {ROUNDS} rounds")
    for name in kinds:
        print(f"  {name:24} {rates[name]:>9,.0f}  (x {rates[name] / bare:.2f} of bare TextBlob)")
    passed = whole >= BUDGET * bare
    print(f"  budget: {BUDGET:g} of bare TextBlob: {'met' if passed else 'MISSED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
