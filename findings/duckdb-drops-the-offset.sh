#!/usr/bin/env bash
# DuckDB 2.0.1: a cast to TIMESTAMP drops the offset; reading the same text from a CSV file honours it.
#
# Expected: 2026-11-30T00:00:00+02:00 is 22:00 UTC of the day before, or the cast is refused.
# Seen: the cast answers 2026-11-30 00:00:00, two hours late, also for a named zone. A CSV reader that finds the type itself
# makes a TIMESTAMP WITH TIME ZONE and is right; told that the column is a TIMESTAMP, it drops the offset too.
# Why it matters: the hour of a trade depends on whether a schema was given. A schema is what careful people give.
# What to do: declare such columns TIMESTAMPTZ and convert with AT TIME ZONE 'UTC'.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1

"$folder/venv/bin/python" - <<'PY'
import sys
import pathlib
import tempfile

import duckdb


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


text = "2026-11-30T00:00:00+02:00"
print("duckdb", duckdb.__version__)
duckdb.execute("SET TimeZone = 'UTC'")
expect("cast", str(duckdb.execute("SELECT CAST(? AS TIMESTAMP)", [text]).fetchone()[0]), "2026-11-30 00:00:00")
zone = duckdb.execute("SELECT CAST('2026-11-30 10:00:00 America/New_York' AS TIMESTAMP)").fetchone()[0]
expect("cast with a zone's name", str(zone), "2026-11-30 10:00:00")
aware = duckdb.execute("SELECT CAST(? AS TIMESTAMPTZ) AT TIME ZONE 'UTC'", [text]).fetchone()[0]
expect("cast to TIMESTAMPTZ", str(aware), "2026-11-29 22:00:00")
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "trades.csv"
    file.write_text(f"happened\n{text}\n")
    query = "SELECT strftime(to_timestamp(epoch(happened)), '%d %b %H:%M') FROM read_csv('{}'{})"
    expect("CSV, type found", duckdb.execute(query.format(file, "")).fetchone()[0], "29 Nov 22:00")
    typed = query.format(file, ", columns = {'happened': 'TIMESTAMP'}")
    expect("CSV, type given", duckdb.execute(typed).fetchone()[0], "30 Nov 00:00")
PY
