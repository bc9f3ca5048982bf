"""News understood, markup to score, beside bare TextBlob on the same texts.

    TextBlob    : the text, already clean -> TextBlob(text).sentiment.polarity
    cryptoviz   : the summary as a feed has it -> plain text -> coins mentioned -> the same polarity -> score, label

The texts are the first 60 words of the recorded articles, in the markup of Cointelegraph's feed. Both see each text
for the first time: what is remembered of words is forgotten before every round (it makes warm runs faster still, which
is printed too). That the polarity is TextBlob's own is checked here as well.

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

from cryptoviz import sentiment as sentiments
from cryptoviz.news.mentions import mentions
from cryptoviz.news.text import plain
from cryptoviz.sentiment import SentimentModel, polarity, sentiment
from cryptoviz.settings import PROJECT_ROOT

ARTICLES = PROJECT_ROOT.parent / "shared" / "data" / "news" / "newsapi_crypto_2022-12-23.csv"
WORDS = 60
ROUNDS = 15
BUDGET = 3_000

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


def forget() -> None:
    """Load the model anew, with nothing remembered of any word."""
    sentiments._rules.cache_clear()
    polarity("")


def rate(act: Callable[[str], object], inputs: list[str]) -> float:
    """Inputs a CPU-second."""
    began = time.process_time()
    for one in inputs:
        act(one)
    return len(inputs) / (time.process_time() - began)


def main() -> int:
    """Print articles a second per core; 0 when the budget is met."""
    if not ARTICLES.exists():
        print(f"news: skipped, {ARTICLES} is absent")
        return 0
    articles = load(ARTICLES)
    texts, marked = [text for text, _ in articles], [markup for _, markup in articles]
    if [plain(markup) for markup in marked] != [" ".join(text.split()) for text in texts]:
        raise AssertionError("cleaning changed the words")
    if [polarity(text) for text in texts] != [TextBlob(text).sentiment.polarity for text in texts]:
        raise AssertionError("the polarity is not TextBlob's")
    kinds: dict[str, tuple[Callable[[str], object], list[str]]] = {
        "bare TextBlob": (lambda text: TextBlob(text).sentiment.polarity, texts),
        "clean, mentions, score": (understand, marked),
        "  clean": (plain, marked),
        "  mentions": (mentions, texts),
        "  score": (sentiment, texts),
        "  score by VADER": (lambda text: sentiment(text, SentimentModel.VADER), texts),
    }
    rounds: dict[str, list[float]] = {name: [] for name in [*kinds, "warm"]}
    for _ in range(ROUNDS):
        for name, (act, inputs) in kinds.items():
            forget()
            rounds[name].append(rate(act, inputs))
        rounds["warm"].append(rate(understand, marked))
    rates = {name: statistics.median(found) for name, found in rounds.items()}
    words = statistics.mean(len(text.split()) for text in texts)
    whole, bare = rates["clean, mentions, score"], rates["bare TextBlob"]
    print(f"news: {len(texts)} articles of {words:.0f} words, articles a second per core, median of {ROUNDS} rounds")
    for name in kinds:
        print(f"  {name:24} {rates[name]:>9,.0f}  (x {rates[name] / bare:.2f} of bare TextBlob)")
    print(f"  the whole, words seen before: {rates['warm']:,.0f}")
    passed = whole >= BUDGET
    print(f"  budget: {BUDGET:,} articles a second: {'met' if passed else 'MISSED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
