#!/usr/bin/env bash
# feedparser 6.0.14: an author's e-mail address is cut after four letters of its last part.
#
# Expected: <author>ann@coin.media (Ann Lee)</author>, the form RSS 2.0 asks for, gives the name Ann Lee and the address
# ann@coin.media.
# Seen: the last part of the address may have four letters only. What is left over becomes the name: address ann@coin.medi,
# name "a (Ann Lee". With .com all is right.
# Why it matters: .media, .finance, .crypto and .exchange are what sites of this field are called. Authors are used to weigh
# and to deduplicate news, and every author of such a site gets a broken name.
# What to do: take the author's text as it stands (entry.author) and split it yourself.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check feedparser==6.0.14

"$folder/venv/bin/python" - <<'PY'
import sys
import feedparser


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def author(text: str) -> dict[str, str]:
    """The author of the only item of a feed."""
    item = f"<item><title>News</title><author>{text}</author></item>"
    feed = feedparser.parse(f'<rss version="2.0"><channel>{item}</channel></rss>')
    return dict(feed.entries[0].authors[0])


print("feedparser", feedparser.__version__)
expect(".com", author("ann@coin.com (Ann Lee)"), {"name": "Ann Lee", "email": "ann@coin.com"})
expect(".media", author("ann@coin.media (Ann Lee)"), {"name": "a (Ann Lee", "email": "ann@coin.medi"})
expect(".finance", author("ann@coin.finance (Ann Lee)")["email"], "ann@coin.fina")
PY
