#!/usr/bin/env bash
# feedparser 6.0.14: CEST, BST and JST are UTC, and a number of seconds is a day of the eighteenth century.
#
# Expected: 08:00 CEST is 06:00 UTC, or no date at all if the zone is not known.
# Seen: zones other than the American ones count as UTC, also "UTC+2", while EST and +0200 are right and "GMT+2" gives
# no date. The number 1764489600 (30 November 2025) is 1 November 1764: its first four digits are taken for a year.
# bozo is 0 each time.
# Why it matters: European and Asian headlines are hours late or early, some before the event they tell of, and nothing
# says which of a feed's dates were guessed.
# What to do: parse the text (entry.published) yourself, with a list of zones that you accept, and refuse the others.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check feedparser==6.0.14

"$folder/venv/bin/python" - <<'PY'
import sys
import time

import feedparser


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def published(date: str) -> str | None:
    """The date of the only item of a feed, in UTC."""
    item = f"<item><title>News</title><pubDate>{date}</pubDate></item>"
    feed = feedparser.parse(f'<rss version="2.0"><channel>{item}</channel></rss>')
    if feed.bozo:
        return f"bozo: {feed.bozo_exception}"
    parsed = feed.entries[0].get("published_parsed")
    return parsed and time.strftime("%Y-%m-%d %H:%M", parsed)


print("feedparser", feedparser.__version__)
day = "Mon, 30 Nov 2026 08:00:00"
for zone in ("CEST", "CET", "BST", "JST", "UTC+2"):
    expect(f"08:00 {zone}", published(f"{day} {zone}"), "2026-11-30 08:00")
expect("08:00 EST", published(f"{day} EST"), "2026-11-30 13:00")
expect("08:00 +0200", published(f"{day} +0200"), "2026-11-30 06:00")
expect("08:00 GMT+2", published(f"{day} GMT+2"), None)
expect("1764489600", published("1764489600"), "1764-11-01 00:00")
PY
