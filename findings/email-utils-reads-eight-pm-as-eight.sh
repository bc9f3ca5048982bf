#!/usr/bin/env bash
# Python 3.11, email.utils: "08:00 PM GMT" is eight in the morning, without a zone.
#
# Expected: parsedate_to_datetime, which raises ValueError for what it cannot read, refuses "08:00 PM GMT" or reads
# 20:00 UTC.
# Seen: it is 08:00 and naive: PM is taken for the name of a zone, which is not known, and GMT is dropped. CEST, JST
# and any other unknown word give a naive time too. That follows the RFC (unknown zones say nothing), but naive times
# are taken for local ones by timestamp() and astimezone(), so that the result depends on the server's zone.
# Why it matters: it is the usual way to read dates of feeds and of HTTP headers, and moves news by twelve hours.
# What to do: refuse a naive result, and look at the text for AM and PM.
set -euo pipefail

python3 - <<'PY'
import email.utils
import platform
import sys


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def read(text: str) -> str:
    """The date as the standard library reads it: with +00:00 at its end if it is aware."""
    return email.utils.parsedate_to_datetime(text).isoformat()


print("Python", platform.python_version())
day = "Mon, 30 Nov 2026"
expect("08:00:00 GMT", read(f"{day} 08:00:00 GMT"), "2026-11-30T08:00:00+00:00")
expect("08:00 PM GMT", read(f"{day} 08:00 PM GMT"), "2026-11-30T08:00:00")
expect("08:00:00 CEST", read(f"{day} 08:00:00 CEST"), "2026-11-30T08:00:00")
expect("08:00:00 at night", read(f"{day} 08:00:00 at night"), "2026-11-30T08:00:00")
try:
    expect("no time at all", read("at night"), "an error")
except ValueError as error:
    expect("no date", "Invalid date value" in str(error), True)
PY
