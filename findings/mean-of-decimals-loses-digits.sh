#!/usr/bin/env bash
# PyArrow 26.0.1, DuckDB 2.0.1, Polars 2.1.0: the mean and the median of decimals are rounded, or are no decimals.
#
# Expected: the mean of 0.00000001 and 0.00000002 is 0.000000015; a mean has more digits than its parts.
# Seen: PyArrow's mean keeps the scale of the column and answers 0.00000002, while its quantile is a float. DuckDB's mean
# is a float, while its median keeps the scale and cuts: the median of 1.10 and 2.25 is 1.67, neither 1.675 nor 1.68.
# Polars answers with a float.
# Why it matters: a mean price that is a third too high passes for a decimal and so for exact. Two tools that check each
# other over the same Parquet file differ in the last digit for ever.
# What to do: widen the scale before taking a mean, or divide sum by count yourself and say how you round.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0

"$folder/venv/bin/python" - <<'PY'
import sys
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


print("pyarrow", pa.__version__, "duckdb", duckdb.__version__, "polars", pl.__version__)
tiny = [Decimal("0.00000001"), Decimal("0.00000002")]
column = pa.array(tiny, pa.decimal128(18, 8))
expect("PyArrow mean", pc.mean(column).as_py(), Decimal("0.00000002"))
expect("PyArrow mean, wider scale", pc.mean(column.cast(pa.decimal128(38, 18))).as_py(), Decimal("0.000000015"))

prices = "(VALUES (CAST(1.10 AS DECIMAL(18, 2))), (CAST(2.25 AS DECIMAL(18, 2)))) AS prices(price)"
expect("DuckDB mean", duckdb.execute(f"SELECT avg(price) FROM {prices}").fetchone(), (1.675,))
expect("DuckDB median", duckdb.execute(f"SELECT median(price) FROM {prices}").fetchone(), (Decimal("1.67"),))

mean = pl.Series(tiny, dtype=pl.Decimal(18, 8)).mean()
expect("Polars mean is a", type(mean).__name__, "float")
PY
