#!/usr/bin/env bash
# VADER 3.3.2 and TextBlob 0.20.1: the names of things in this field are praise or blame, and its verbs are nothing.
#
# Expected: "Interest rates" says neither good nor bad, and "plunges", "soars" and "liquidations" say something.
# Seen: VADER gives "Interest rates" +0.46 and "Crypto Fear & Greed Index" -0.71 before the headline has said anything, and
# 0.0 to bitcoin soaring, rallying, tumbling and being liquidated. TextBlob gives "SEC" -0.1 (its dictionary means dry
# champagne), "cold storage" -0.6 and "isn't good" +0.7, as it knows "not" but not "n't".
# Why it matters: a sentiment by the hour follows how often the Fed and the index are mentioned, not what was said of them.
# What to do: take the field's names out before scoring, add its verbs to the dictionary, and measure on labelled headlines.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vaderSentiment==3.3.2 textblob==0.20.1

"$folder/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version

from textblob import TextBlob
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


vader = SentimentIntensityAnalyzer()
print("vaderSentiment", version("vaderSentiment"), "textblob", version("textblob"))
named = {"Interest rates": 0.4588, "Crypto Fear & Greed Index": -0.7096, "Stop loss": -0.5423, "Harmony": 0.4019}
silent = ("Bitcoin soars", "Bitcoin rallies", "Bitcoin plunges 20%", "Bitcoin tumbles", "Longs liquidated")
for text, score in (named | dict.fromkeys(silent, 0.0)).items():
    expect(f"VADER: {text}", vader.polarity_scores(text)["compound"], score)
for text, score in {"SEC": -0.1, "cold storage": -0.6, "not good": -0.35, "isn't good": 0.7}.items():
    expect(f"TextBlob: {text}", round(TextBlob(text).sentiment.polarity, 4), score)
PY
