#!/usr/bin/env bash
# Spark (pyspark 4.0.5): the VWAP of decimal(38, 18) columns is wrong by 63 percent, and still a decimal.
#
# Expected: sum(price * volume) / sum(volume) of one trade is its price, or an error when the digits have no room.
# Seen: the product of two decimal(38, 18) is a decimal(38, 6): all that is smaller than a millionth is rounded away. A trade
# at 0.00000123 has a VWAP of 0.000002. The documentation names the switch (decimalOperations.allowPrecisionLoss) and gives
# the rule for the type; that it keeps six digits of eighteen, in a column made for small prices, is easily missed.
# Why it matters: decimal(38, 18) is the usual type for a price that must be exact, and any product spoils it silently.
# What to do: cast both sides to decimal(38, 18) only after the product: multiply decimal(20, 10) by decimal(18, 8).
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


exact = "CAST({} AS DECIMAL(38, 18))"
trade = f"VALUES ({exact.format('0.00000123')}, {exact.format('0.5')}) AS trades(price, volume)"
vwap = spark.sql(f"SELECT sum(price * volume) / sum(volume) AS vwap FROM {trade}")
expect("type of the VWAP", vwap.schema["vwap"].dataType.simpleString(), "decimal(38,6)")
expect("VWAP of one trade at 0.00000123", str(vwap.collect()[0][0]), "0.000002")
expect("0.00001234 * 1", str(answer(f"{exact.format('0.00001234')} * {exact.format('1')}")), "0.000012")
narrow = "CAST(0.00000123 AS DECIMAL(20, 10)) * CAST(0.5 AS DECIMAL(18, 8))"
expect("narrower types", str(answer(f"CAST({narrow} AS DECIMAL(38, 18))")), "6.15000000000E-7")
PY
