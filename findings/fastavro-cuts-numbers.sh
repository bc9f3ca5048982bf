#!/usr/bin/env bash
# fastavro 1.13.1: a number that is no integer is cut and written as a long.
#
# Expected: the writer refuses 1.9 where the schema says long, as its own validate() does, and as it refuses a decimal with
# one digit too many ("1.0050" for a scale of two, though nothing would be lost).
# Seen: 1.9 and Decimal("1.9") are written as 1; seconds with a fraction in a timestamp-millis become a time in January 1970;
# the text "1.5" is written into a double. No warning; only validator=True refuses.
# Why it matters: an epoch in seconds beside one in milliseconds is the commonest mistake with exchanges' times, and the
# schema was to catch it.
# What to do: write with validator=True, or build records from types that cannot hold the wrong kind.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastavro==1.13.1

"$folder/venv/bin/python" - <<'PY'
import sys
import io
from decimal import Decimal

import fastavro


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def written(kind: object, value: object, **options: object) -> object:
    """What is read back after a value was written as this kind."""
    schema = {"type": "record", "name": "trade", "fields": [{"name": "value", "type": kind}]}
    file = io.BytesIO()
    fastavro.writer(file, schema, [{"value": value}], **options)
    file.seek(0)
    return next(fastavro.reader(file))["value"]


print("fastavro", fastavro.__version__)
expect("long 1.9", written("long", 1.9), 1)
expect("long Decimal 1.9", written("long", Decimal("1.9")), 1)
expect("double '1.5'", written("double", "1.5"), 1.5)
millis = {"type": "long", "logicalType": "timestamp-millis"}
expect("seconds as milliseconds", str(written(millis, 1795996800.5)), "1970-01-21 18:53:16.800000+00:00")
expect("validate says of 1.9", fastavro.validate(1.9, "long", raise_errors=False), False)
try:
    expect("with validator=True", written("long", 1.9, validator=True), "an error")
except fastavro.validation.ValidationError:
    print("with validator=True: refused")
cents = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
try:
    expect("decimal 1.0050", written(cents, Decimal("1.0050")), "an error")
except ValueError as error:
    expect("decimal 1.0050 is refused", str(error), "Scale provided in schema does not match the decimal")
PY
