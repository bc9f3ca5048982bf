#!/usr/bin/env bash
# Polars 2.1.0, PyArrow 26.0.1, DuckDB 2.0.1, NumPy 2.4.6: the highest of 1.0 and NaN depends on the engine.
#
# Expected: one answer for one Parquet file, or that an engine's maximum is what it sorts last.
# Seen: PyArrow and Polars leave NaN out of the maximum, though it is no null and Polars sorts it after every number.
# DuckDB and NumPy answer NaN. The minimum is 1.0 in all but NumPy, because DuckDB holds NaN to be larger than infinity.
# Why it matters: the high of a candle becomes NaN or hides the bad trade, while the low looks right in both, depending on
# which engine read the file.
# What to do: refuse NaN where prices enter (a float column needs a check of its own; NOT NULL does not catch it).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PY'
import sys
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


print("pyarrow", pa.__version__, "duckdb", duckdb.__version__, "polars", pl.__version__, "numpy", np.__version__)
prices = pa.table({"price": [1.0, float("nan")]})
series = pl.Series(prices["price"].to_pylist())
sorted_last = series.sort()[-1]
expect("PyArrow max, min", (pc.max(prices["price"]).as_py(), pc.min(prices["price"]).as_py()), (1.0, 1.0))
expect("Polars max, min", (series.max(), series.min()), (1.0, 1.0))
expect("Polars sorts last", str(sorted_last), "nan")
highest, lowest = duckdb.execute("SELECT max(price), min(price) FROM prices").fetchone()
expect("DuckDB max, min", (str(highest), lowest), ("nan", 1.0))
array = prices["price"].to_numpy()
expect("NumPy max, min", (str(array.max()), str(array.min())), ("nan", "nan"))
PY
