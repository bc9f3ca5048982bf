#!/usr/bin/env bash
# pandas 2.3.3, Polars 2.1.0, DuckDB 2.0.1: which quote a trade is joined to differs where times are equal or equally
# near.
#
# Expected: of two quotes in the same millisecond the later row is in force, in every library's ASOF join.
# Seen: pandas and Polars take the last of the equal rows, DuckDB the first. With "nearest" and quotes one second
# before and one second after the trade, pandas takes the one before, Polars the one after, which was not known at the
# time of the trade.
# Why it matters: quotes of a busy second share their millisecond. Spread and slippage then differ between a notebook
# and the warehouse, and "nearest" looks into the future where one did not mean it to.
# What to do: join on a sequence number beside the time, or drop all but the last quote of a time first; use backward
# only.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==2.3.3 polars==2.1.0 duckdb==2.0.1

"$folder/venv/bin/python" - <<'PY'
import datetime
import sys

import duckdb
import pandas as pd
import polars as pl


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def frame(column: str, *rows: tuple[int, int]) -> pd.DataFrame:
    """Rows of so many seconds after ten o'clock."""
    ten = datetime.datetime(2026, 11, 30, 10)
    return pd.DataFrame([{"time": ten + datetime.timedelta(seconds=at), column: value} for at, value in rows])


print("pandas", pd.__version__, "polars", pl.__version__, "duckdb", duckdb.__version__)
trades = frame("trade", (0, 1))
quotes = frame("bid", (0, 100), (0, 101))
query = "SELECT bid FROM trades ASOF JOIN quotes ON trades.time >= quotes.time"
expect("same time, pandas", pd.merge_asof(trades, quotes, on="time")["bid"].tolist(), [101])
expect("same time, Polars", pl.DataFrame(trades).join_asof(pl.DataFrame(quotes), on="time")["bid"].to_list(), [101])
expect("same time, DuckDB", duckdb.sql(query).fetchall(), [(100,)])

around = frame("bid", (-1, 100), (1, 101))
expect("nearest, pandas", pd.merge_asof(trades, around, on="time", direction="nearest")["bid"].tolist(), [100])
nearest = pl.DataFrame(trades).join_asof(pl.DataFrame(around), on="time", strategy="nearest")
expect("nearest, Polars", nearest["bid"].to_list(), [101])
PY
