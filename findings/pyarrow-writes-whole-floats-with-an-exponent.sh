#!/usr/bin/env bash
# pyarrow 26.0.1: a float column of ids or epoch milliseconds loses its digits when it is cast to text.
#
# Expected: the float 10000000000.0 is the text "10000000000", as 9999999999.0 is "9999999999".
# Seen: from ten thousand millions on the text has an exponent: "1e+10", and 1671166800000.0 is "1.6711668e+12".
# Nothing warns: all of them are the right numbers, and the shorter ones look like ids. Python and DuckDB write such
# floats without exponents up to 1e16.
# Why it matters: a column of ids or milliseconds with one missing value becomes float in pandas. Cast to text it joins
# with nothing: small ids match, large ones silently do not.
# What to do: cast to int64 first, then to string.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

"$folder/venv/bin/python" - <<'PY'
import sys
import pyarrow as pa


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def text(number: float) -> str:
    """The number as PyArrow casts it to text."""
    return pa.array([number]).cast(pa.string())[0].as_py()


print("pyarrow", pa.__version__)
expect("9999999999.0", text(9999999999.0), "9999999999")
expect("10000000000.0", text(10000000000.0), "1e+10")
expect("1671166800000.0", text(1671166800000.0), "1.6711668e+12")
whole = pa.array([1671166800000.0]).cast(pa.int64())
expect("the same by way of int64", whole.cast(pa.string())[0].as_py(), "1671166800000")
PY
