#!/usr/bin/env bash
# dateparser 1.5.0: 1.5 is the fifth of January, 3.14 is a time of today, and IST is Israel's.
#
# Expected: a text that is no date gives None, as it does for "0.07421"; a month without a day gives its first day or
# None.
# Seen: "1.5" is 5 January, "3.14" is 03:14 today, "12" is December. What a text leaves out is taken from the day it is
# read: "November 2026" is 17 November if read on a 17th. IST is +02:00, not India's +05:30, also with the locale
# en-IN.
# Why it matters: a page whose layout moved puts a price where the date was, and the parser makes it a plausible date.
# The same article gets another date each day it is read, so that it is never recognised as seen.
# What to do: set STRICT_PARSING, give date_formats where the source is known, and replace zone names by offsets
# before.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dateparser==1.5.0

"$folder/venv/bin/python" - <<'PY'
import datetime
import sys

import dateparser


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def read(text: str, on: str = "2026-01-17T09:30", **settings: bool) -> str | None:
    """The date in the text, read on this day."""
    told = {"RELATIVE_BASE": datetime.datetime.fromisoformat(on), **settings}
    found = dateparser.parse(text, languages=["en"], settings=told)
    return found and found.isoformat(" ", "minutes")


print("dateparser", dateparser.__version__)
expect("0.07421", read("0.07421"), None)
expect("1.5", read("1.5"), "2026-01-05 00:00")
expect("3.14", read("3.14"), "2026-01-17 03:14")
expect("12", read("12"), "2026-12-17 00:00")
expect("November 2026, read on a 17th", read("November 2026"), "2026-11-17 00:00")
expect("November 2026, read on a 20th", read("November 2026", "2026-01-20T09:30"), "2026-11-20 00:00")
expect("20:00 IST", read("30 Nov 2026 20:00 IST"), "2026-11-30 20:00+02:00")
indian = dateparser.parse("30 Nov 2026 20:00 IST", locales=["en-IN"])
expect("20:00 IST, en-IN", str(indian), "2026-11-30 20:00:00+02:00")
expect("1.5, strictly", read("1.5", STRICT_PARSING=True), None)
expect("November 2026, strictly", read("November 2026", STRICT_PARSING=True), None)
PY
