#!/usr/bin/env bash
# msgspec 0.22.0, python-dateutil 2.9.0.post0, Polars 2.1.0, DuckDB 2.0.1: 23:59:59.9999999 is in two days.
#
# Expected: digits beyond the microsecond are cut, as datetime.fromisoformat does: RFC 3339 allows any number of digits and
# leaves open what a reader does with them.
# Seen: msgspec rounds to the nearest microsecond, so that the last instant of a day becomes midnight of the next one.
# dateutil, Polars, DuckDB and the standard library cut. (PostgreSQL rounds as msgspec does; Spark cuts.)
# Why it matters: exchanges send nanoseconds. A trade of the last half microsecond falls into the next minute, hour, day and
# daily candle in one part of a pipeline and not in the other, and the two sums differ.
# What to do: choose cutting or rounding once, where data enters, before any tool sees the text; keep the text if you can.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 python-dateutil==2.9.0.post0 polars==2.1.0 duckdb==2.0.1

"$folder/venv/bin/python" - <<'PY'
import sys
import datetime

import dateutil.parser
import duckdb
import msgspec
import polars as pl


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


text = "2026-11-30T23:59:59.9999999Z"
print("msgspec", msgspec.__version__, "polars", pl.__version__, "duckdb", duckdb.__version__)
cut, rounded = "2026-11-30 23:59:59.999999", "2026-12-01 00:00:00"
expect("msgspec", str(msgspec.convert(text, datetime.datetime))[:26].removesuffix("+00:00"), rounded)
expect("standard library", str(datetime.datetime.fromisoformat(text))[:26], cut)
expect("dateutil", str(dateutil.parser.isoparse(text.replace("9999999Z", "999999Z")))[:26], cut)
expect("dateutil, seven digits", str(dateutil.parser.parse(text))[:26], cut)
expect("Polars", str(pl.Series([text]).str.to_datetime(time_unit="us")[0])[:26], cut)
expect("DuckDB", str(duckdb.execute("SELECT CAST(? AS TIMESTAMP)", [text]).fetchone()[0])[:26], cut)
PY
