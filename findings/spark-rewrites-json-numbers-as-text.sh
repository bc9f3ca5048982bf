#!/usr/bin/env bash
# Spark (pyspark 4.0.5): a JSON number that is asked for as text passes through a double first.
#
# Expected: from_json with a column of type STRING, and get_json_object, give the characters of the number: text is what one
# asks for in order to keep every digit.
# Seen: 12345678901234567890.123456789 comes back as 1.2345678901234567E19, 0.10 as 0.1 and 1e-8 as 1.0E-8. Asked for as a
# decimal(38, 18), the same number is exact to the last digit.
# Why it matters: "read it as text, cast later" is the usual advice for prices from Kafka. It loses what it is to save, and
# a checksum or signature over the text no longer fits.
# What to do: read numbers as DECIMAL, quoted numbers as STRING; keep the raw value of the message beside them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.5

SPARK_LOCAL_IP=127.0.0.1 "$folder/venv/bin/python" 2>"$folder/log" - <<'PY' || { tail -n 20 "$folder/log" >&2; exit 1; }
import sys
from pyspark.sql import SparkSession


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "UTC")
print("pyspark", spark.version)


def answer(expression: str) -> object:
    """The value of a SQL expression."""
    return spark.sql(f"SELECT {expression}").collect()[0][0]


def text(number: str, kind: str) -> str:
    """A JSON number read as this kind, as text."""
    return answer(f"""CAST(from_json('{{"price":{number}}}', 'price {kind}').price AS STRING)""")


long = "12345678901234567890.123456789"
expect("from_json STRING", text(long, "STRING"), "1.2345678901234567E19")
expect("get_json_object", answer(f"""get_json_object('{{"price":{long}}}', '$.price')"""), "1.2345678901234567E19")
expect("from_json STRING 0.10", text("0.10", "STRING"), "0.1")
expect("from_json STRING 1e-8", text("1e-8", "STRING"), "1.0E-8")
expect("from_json DECIMAL", text(long, "DECIMAL(38, 18)"), long + "0" * 9)
PY
