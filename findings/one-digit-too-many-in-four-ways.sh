#!/usr/bin/env bash
# PyArrow 26.0.1, DuckDB 2.0.1, Polars 2.1.0: text with one digit too many for a decimal is refused, rounded up, or to
# even.
#
# Expected: "0.000000005" as decimal(38, 8) is refused, or is the same number wherever it is rounded.
# Seen: PyArrow refuses it. DuckDB makes it 0.00000001, Polars 0.00000000: the one rounds halves away from zero, the
# other to the even digit, also with decimals as input. From a float PyArrow rounds without a word, 2.675 to 2.67 where
# the two others say 2.68. DuckDB itself has both: 2.5 as integer is 3, and the double 2.5 is 2.
# Why it matters: a candle built in one engine and checked in another differs by a unit in its last place, in one row
# of twenty if a feed has one digit more.
# What to do: refuse what does not fit at the border, or round there once, by a rule that is written down.
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


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def duck(expression: str) -> object:
    """What DuckDB makes of the expression."""
    return duckdb.sql(f"SELECT {expression}").fetchall()[0][0]


print("pyarrow", pa.__version__, "duckdb", duckdb.__version__, "polars", pl.__version__)
half = "0.000000005"
try:
    expect("PyArrow", pa.array([half]).cast(pa.decimal128(38, 8))[0].as_py(), "an error")
except pa.ArrowInvalid as error:
    expect("PyArrow refuses", str(error), "Rescaling Decimal value would cause data loss")
expect("DuckDB", duck(f"'{half}'::DECIMAL(38, 8)"), Decimal("1E-8"))
expect("Polars", pl.Series([half]).cast(pl.Decimal(38, 8))[0], Decimal("0E-8"))
expect("Polars, 67000.005 to cents", pl.Series([Decimal("67000.005")]).cast(pl.Decimal(38, 2))[0], Decimal("67000.00"))
expect("DuckDB, 67000.005 to cents", duck("67000.005::DECIMAL(38, 2)"), Decimal("67000.01"))
expect("PyArrow, float 2.675", pa.array([2.675]).cast(pa.decimal128(38, 2))[0].as_py(), Decimal("2.67"))
expect("DuckDB, float 2.675", duck("2.675::DOUBLE::DECIMAL(38, 2)"), Decimal("2.68"))
expect("Polars, float 2.675", pl.Series([2.675]).cast(pl.Decimal(38, 2))[0], Decimal("2.68"))
expect("DuckDB, 2.5 as integer", (duck("2.5::INTEGER"), duck("2.5::DOUBLE::INTEGER")), (3, 2))
PY
