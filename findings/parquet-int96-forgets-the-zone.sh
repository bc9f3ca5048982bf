#!/usr/bin/env bash
# PyArrow 26.0.1: timestamps written as INT96, which is how Spark writes them, come back without their zone.
#
# Expected: a column of timestamp[us, tz=UTC] is read back as it was written: the Arrow schema is kept in the file for this.
# Seen: with use_deprecated_int96_timestamps the zone is gone, also when the schema is in the file, and the unit is ns.
# In the usual format the zone survives.
# Why it matters: INT96 is what Spark writes by default (spark.sql.parquet.outputTimestampType). Joined with files written by
# PyArrow or Polars, the same instants have another type; a naive one is then taken for local time by the next tool.
# What to do: write TIMESTAMP_MICROS from Spark; read INT96 files with a cast to an aware UTC timestamp.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

"$folder/venv/bin/python" - <<'PY'
import sys
import datetime
import io

import pyarrow as pa
import pyarrow.parquet as pq


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def written(**options: object) -> pa.Schema:
    """The schema that comes back of one aware timestamp written with these options."""
    file = io.BytesIO()
    at = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.timezone.utc)
    pq.write_table(pa.table({"at": pa.array([at], pa.timestamp("us", "UTC"))}), file, **options)
    file.seek(0)
    return pq.read_table(file).schema.field("at").type


print("pyarrow", pa.__version__)
expect("usual format", str(written()), "timestamp[us, tz=UTC]")
expect("INT96", str(written(use_deprecated_int96_timestamps=True)), "timestamp[ns]")
PY
