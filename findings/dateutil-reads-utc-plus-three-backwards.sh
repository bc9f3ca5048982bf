#!/usr/bin/env bash
# python-dateutil 2.9.0.post0 (4.0.0 too): the parser and the zone class of one library give UTC+3 opposite signs.
#
# Expected: "10:00 UTC+3" is 07:00 UTC, as people write it and as dateutil.tz.tzstr("UTC+3") says, whose documentation
# explains that it departs from POSIX on purpose.
# Seen: dateutil.parser.parse takes it as POSIX would: the offset is minus three hours, so the instant is 13:00 UTC, six
# hours late. Without the letters UTC the same "+3" has the right sign. dateparser 1.5.0 reads +03:00.
# Why it matters: "UTC+8" and "GMT+8" are how Asian exchanges write times in announcements and exports. Times move by
# sixteen hours, and still look like times.
# What to do: turn UTC+N and GMT+N into +NN:00 before parsing, or refuse them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-dateutil==2.9.0.post0 dateparser==1.5.0

"$folder/venv/bin/python" - <<'PY'
import sys
import datetime

import dateparser
import dateutil.parser
import dateutil.tz


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


text = "30 Nov 2026 10:00 UTC+3"
print("dateutil", dateutil.__version__, "dateparser", dateparser.__version__)
zone = dateutil.tz.tzstr("UTC+3")
expect("tz.tzstr", str(zone.utcoffset(datetime.datetime(2026, 11, 30))), "3:00:00")
expect("parser", dateutil.parser.parse(text).isoformat(), "2026-11-30T10:00:00-03:00")
expect("parser, no letters", dateutil.parser.parse("30 Nov 2026 10:00 +03").isoformat(), "2026-11-30T10:00:00+03:00")
expect("dateparser", dateparser.parse(text).isoformat(), "2026-11-30T10:00:00+03:00")
PY
