#!/usr/bin/env bash
# PyArrow 26.0.1: the sum of large positive decimals is negative.
#
# Expected: an error when a total no longer fits decimal128, as pyarrow.compute.add, Polars, DuckDB and Spark give; the
# documentation of the sum speaks of no overflow.
# Seen: pyarrow.compute.sum, the sum of a group_by and the sum of a pandas column on Arrow all wrap round without a word.
# decimal(38, 18) has room for twenty digits before the point, so three values of twenty nines are enough.
# Why it matters: traded amounts of coins that cost a millionth of a cent have many digits, and a turnover of the whole
# market is a sum. A negative turnover is noticed; one that wrapped twice is not.
# What to do: cast to decimal256(76, 18) before summing, or sum in the database.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1

"$folder/venv/bin/python" - <<'PY'
import sys
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


values = pa.array([Decimal("99999999999999999999.5")] * 3, pa.decimal128(38, 18))
print("pyarrow", pa.__version__, "pandas", pd.__version__)
wrapped = Decimal("-40282366920938463464.874607431768211456")
expect("sum", pc.sum(values).as_py(), wrapped)
grouped = pa.table({"pair": ["A", "A", "A"], "volume": values}).group_by("pair").aggregate([("volume", "sum")])
expect("sum of the group", grouped["volume_sum"][0].as_py(), wrapped)
expect("sum in pandas", pd.Series(values.to_pylist(), dtype=pd.ArrowDtype(values.type)).sum(), wrapped)
expect("sum as decimal256", pc.sum(values.cast(pa.decimal256(76, 18))).as_py(), Decimal("299999999999999999998.5"))
try:
    expect("plain addition", pc.add(values, values), "an error")
except pa.ArrowInvalid as error:
    expect("plain addition is refused", str(error), "Decimal precision out of range [1, 38]: 39")
PY
