#!/usr/bin/env bash
# PyArrow 26.0.1, Polars 2.1.0, DuckDB 2.0.1: partitions turn the coin 00 into 0, TRUE into a boolean and INF into a
# date.
#
# Expected: a text column that a data set is partitioned by comes back as text: 00, INF and TRUE are names of real
# coins.
# Seen: Parquet files do not hold that column, so each reader guesses its type from the folders' names. PyArrow (and
# pandas, which uses it) reads 00 as the number 0, Polars also TRUE as a boolean, and DuckDB INF as 31 December 9999:
# "inf" is an infinite date. With BTC beside it all is text again, so that a coin's name depends on which other coins
# are read with it.
# Why it matters: one coin's folder, read alone, joins with nothing, or with another coin: 00, 0 and 000 are one.
# What to do: give the type (partitioning= with a schema in PyArrow, hive_schema in Polars, hive_types in DuckDB), or a
# second column with the name inside the files.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1

"$folder/venv/bin/python" - <<'PY'
import datetime
import sys
import tempfile

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def names(*coins: str) -> dict[str, list[object]]:
    """The names of the coins as each reader gives them back."""
    with tempfile.TemporaryDirectory() as folder:
        pq.write_to_dataset(pa.table({"coin": coins, "price": [1.5] * len(coins)}), folder, partition_cols=["coin"])
        files = f"{folder}/**/*.parquet"
        query = f"SELECT coin FROM read_parquet('{files}', hive_partitioning = true) ORDER BY coin"
        return {
            "PyArrow": sorted(pq.read_table(folder)["coin"].to_pylist()),
            "Polars": pl.read_parquet(files, hive_partitioning=True)["coin"].sort().to_list(),
            "DuckDB": [row[0] for row in duckdb.sql(query).fetchall()],
        }


def typed(seen: dict[str, list[object]]) -> dict[str, str]:
    """With quotation marks for text, so that 0, "0" and False are not the same."""
    return {reader: repr(coins) for reader, coins in seen.items()}


print("pyarrow", pa.__version__, "polars", pl.__version__, "duckdb", duckdb.__version__)
last = repr([datetime.date.max])
expect("00", typed(names("00")), {"PyArrow": "[0]", "Polars": "[0]", "DuckDB": "['00']"})
expect("TRUE", typed(names("TRUE")), {"PyArrow": "['TRUE']", "Polars": "[True]", "DuckDB": "['TRUE']"})
expect("INF", typed(names("INF")), {"PyArrow": "['INF']", "Polars": "['INF']", "DuckDB": last})
expect("00 and BTC", typed(names("00", "BTC")), dict.fromkeys(("PyArrow", "Polars", "DuckDB"), "['00', 'BTC']"))
PY
