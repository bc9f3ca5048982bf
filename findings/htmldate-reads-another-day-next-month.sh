#!/usr/bin/env bash
# htmldate 1.10.0 (which trafilatura uses): what a date in a page means depends on the day you look.
#
# Expected: the same page has the same date whenever it is read.
# Seen: 11/12/2026 is read day first, unless that lies in the future; then it is read month first. A page read in November
# is of 12 November, the same page read in January is of 11 December. "Nov 2025" becomes 1 January 2025: the month is lost.
# Why it matters: news are sorted and deduplicated by date, and joined with prices by it. A replay of stored pages gives
# other dates than the first run.
# What to do: prefer the feed's date; store the date found at first and never find it anew; give max_date in replays.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check htmldate==1.10.0

"$folder/venv/bin/python" - <<'PY'
import sys
import importlib.metadata

from htmldate import find_date


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def page(date: str) -> str:
    """A news page that says when it was published."""
    head = f'<head><meta property="article:published_time" content="{date}"></head>'
    return f"<html>{head}<body><p>Bitcoin rose on Monday.</p></body></html>"


print("htmldate", importlib.metadata.version("htmldate"))
expect("read in November 2026", find_date(page("11/12/2026"), max_date="2026-11-30"), "2026-11-12")
expect("read in January 2027", find_date(page("11/12/2026"), max_date="2027-01-31"), "2026-12-11")
expect("Nov 2025", find_date(page("Nov 2025"), max_date="2026-11-30"), "2025-01-01")
PY
