#!/usr/bin/env bash
# pyarrow 26.0.1: a time in JSON is a time without a zone, or text, depending on whether some trade has a fraction of a
# second.
#
# Expected: the reader of JSON infers from "2026-11-30T10:00:00Z" what the reader of CSV infers: a timestamp in UTC.
# Seen: in JSON it is timestamp[s] without a zone (the offset is applied, then forgotten). With one time like
# 10:00:00.5Z the whole column is text. A time with Z and one without are one column of JSON, taken for the same
# instant; CSV keeps them as text.
# Why it matters: a file of quiet minutes has times, the next has text, and a data set of both cannot be read. A naive
# column next to an aware one is off by the reader's zone.
# What to do: give explicit_schema with timestamp("us", "UTC"), or read text and parse it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

"$folder/venv/bin/python" - <<'PY'
import io
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.json


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def types(*times: str) -> tuple[str, str]:
    """The type of the only column, from JSON and from CSV."""
    lines = "".join(f'{{"time": "{at}"}}\n' for at in times)
    json = pa.json.read_json(io.BytesIO(lines.encode()))
    csv = pa.csv.read_csv(io.BytesIO("\n".join(("time", *times)).encode()))
    return str(json.schema.field("time").type), str(csv.schema.field("time").type)


print("pyarrow", pa.__version__)
whole, half, no_zone = "2026-11-30T10:00:00Z", "2026-11-30T10:00:00.5Z", "2026-11-30T10:00:00"
expect("whole second", types(whole), ("timestamp[s]", "timestamp[s, tz=UTC]"))
expect("and a half", types(whole, half), ("string", "timestamp[ns, tz=UTC]"))
expect("and without a zone", types(whole, no_zone), ("timestamp[s]", "string"))
PY
