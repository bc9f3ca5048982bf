#!/usr/bin/env bash
# msgspec 0.22.0: a decimal NaN is written as a bare NaN, which is no JSON and which msgspec itself refuses.
#
# Expected: null, as msgspec writes a float NaN, or an error. The default writes decimals as text, "NaN" in quotation
# marks.
# Seen: with decimal_format="number", the setting for prices as numbers, Decimal("NaN") and Decimal("Infinity") are
# written as they stand. The encoder is content; the decoder of the same library says "JSON is malformed".
# Why it matters: one undefined ratio (a mean over no trades) makes a whole message, not a field, unreadable for every
# consumer, and the producer has no error to show.
# What to do: check is_finite() before encoding, or keep decimals as text.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0

"$folder/venv/bin/python" - <<'PY'
import sys
from decimal import Decimal

import msgspec


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


encoder = msgspec.json.Encoder(decimal_format="number")
print("msgspec", msgspec.__version__)
expect("a price", encoder.encode({"price": Decimal("0.10")}), b'{"price":0.10}')
expect("a float NaN", encoder.encode({"price": float("nan")}), b'{"price":null}')
expect("a decimal NaN", encoder.encode({"price": Decimal("NaN")}), b'{"price":NaN}')
expect("a decimal infinity", encoder.encode({"price": Decimal("Infinity")}), b'{"price":Infinity}')
try:
    expect("read back", msgspec.json.decode(b'{"price":NaN}'), "an error")
except msgspec.DecodeError as error:
    expect("read back", str(error), "JSON is malformed: invalid character (byte 9)")
PY
