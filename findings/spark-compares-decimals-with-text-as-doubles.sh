#!/usr/bin/env bash
# Spark (pyspark 4.0.5): a decimal equals a text that says another number.
#
# Expected: volume = '12345678901234567890.13' is false for a decimal(38, 18) of 12345678901234567890.12; ANSI mode, the
# default since 4.0, is about such surprises.
# Seen: it is true. Both sides become doubles, which have sixteen digits; > is false and IN finds the wrong row too. With
# the literal as a decimal (12345678901234567890.13BD) all are right.
# Why it matters: a join or a filter on a text column, such as a volume from another system's CSV, matches rows that differ,
# so a reconciliation reports no difference.
# What to do: cast the text to the decimal's type explicitly, in every comparison.
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


volume = "CAST('12345678901234567890.12' AS DECIMAL(38, 18))"
expect("ANSI mode", spark.conf.get("spark.sql.ansi.enabled"), "true")
expect("= '....13'", answer(f"{volume} = '12345678901234567890.13'"), True)
expect("> '....11'", answer(f"{volume} > '12345678901234567890.11'"), False)
expect("IN ('....13')", answer(f"{volume} IN ('12345678901234567890.13')"), True)
expect("= ....13BD", answer(f"{volume} = 12345678901234567890.13BD"), False)
PY
