#!/usr/bin/env bash
# PyArrow 26.0.1, DuckDB 2.0.1, Polars 2.1.0: price times size, both decimal(38, 18), has three different outcomes.
#
# Expected: 67000.5 * 2 is 134001 wherever both are decimals with eighteen digits after the point, or is refused everywhere.
# Seen: PyArrow refuses the types, whatever the values. DuckDB doubles the digits after the point to 36, which leaves two
# before it: it multiplies small prices and fails at run on the first product of 100 or more. Polars keeps the scale and
# rounds: 0.15 * 0.15 with two digits is 0.02. (Spark keeps six digits: spark-vwap-keeps-six-digits.sh.)
# Why it matters: turnover and VWAP are made of this product. A query that was tested on cheap coins fails on bitcoin.
# What to do: cast both sides to decimal(18, 8) or to float on purpose, and test with a dear coin and a cheap one.
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
one = pa.array([Decimal(1)], pa.decimal128(38, 18))
try:
    expect("PyArrow 1 * 1", pc.multiply(one, one), "an error")
except pa.ArrowInvalid as error:
    expect("PyArrow 1 * 1 is refused", str(error), "Decimal precision out of range [1, 38]: 77")

query = "SELECT CAST(? AS DECIMAL(38, 18)) * CAST(? AS DECIMAL(38, 18))"
expect("DuckDB 49 * 2", duckdb.execute(query, ["49", "2"]).fetchone(), (Decimal("98"),))
try:
    expect("DuckDB 67000.5 * 2", duckdb.execute(query, ["67000.5", "2"]).fetchone(), "an error")
except duckdb.OutOfRangeException as error:
    expect("DuckDB 67000.5 * 2 fails", "Overflow in multiplication of DECIMAL(38)" in str(error), True)

cents = pl.Series([Decimal("0.15")], dtype=pl.Decimal(38, 2))
expect("Polars 0.15 * 0.15", (cents * cents)[0], Decimal("0.02"))
PY
