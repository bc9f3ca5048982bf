#!/usr/bin/env bash
# Polars 2.1.0, DuckDB 2.0.1, pandas 3.1.1: "7 days" and "1 week" are different buckets, and one moves with the data.
#
# Expected: seven days are a week, and a bucket does not depend on which rows a filter left.
# Seen: Polars begins "1w" on Monday and "7d" on Thursday, as 1 January 1970 was a Thursday. DuckDB's time_bucket begins
# both on Monday. pandas floors "7D" to Thursday, but resample("7D") begins on the day of the first row: drop the first day
# and all weeks shift. resample("W") is labelled with the Sunday that ends the week.
# Why it matters: weekly candles of exchanges begin on Monday. Candles made of a filtered range disagree with those made of
# the whole, and no error says so.
# What to do: name the origin: resample("7D", origin=a Monday), "1w" in Polars, and test with a range that begins midweek.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 duckdb==2.0.1 pandas==3.1.1

"$folder/venv/bin/python" - <<'PY'
import sys
import datetime

import duckdb
import pandas as pd
import polars as pl


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


wednesday = datetime.datetime(2026, 12, 2, 12)
print("polars", pl.__version__, "duckdb", duckdb.__version__, "pandas", pd.__version__)
at = pl.Series([wednesday])
expect("Polars 1w", f"{at.dt.truncate('1w')[0]:%a %d %b}", "Mon 30 Nov")
expect("Polars 7d", f"{at.dt.truncate('7d')[0]:%a %d %b}", "Thu 26 Nov")
for size in ("1 week", "7 days"):
    bucket = duckdb.execute(f"SELECT time_bucket(INTERVAL '{size}', ?)", [wednesday]).fetchone()[0]
    expect(f"DuckDB {size}", f"{bucket:%a %d %b}", "Mon 30 Nov")
expect("pandas floor 7D", f"{pd.Timestamp(wednesday).floor('7D'):%a %d %b}", "Thu 26 Nov")
days = pd.Series(1.0, index=pd.date_range("2026-11-29", periods=10, freq="D"))
expect("pandas resample 7D", f"{days.resample('7D').sum().index[0]:%a %d %b}", "Sun 29 Nov")
expect("without the first day", f"{days[1:].resample('7D').sum().index[0]:%a %d %b}", "Mon 30 Nov")
expect("pandas resample W", f"{days[1:].resample('W').sum().index[0]:%a %d %b}", "Sun 06 Dec")
PY
