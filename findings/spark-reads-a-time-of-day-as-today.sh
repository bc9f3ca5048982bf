#!/usr/bin/env bash
# Spark (pyspark 4.0.5): the text "12:00" is a timestamp, of today.
#
# Expected: from_json gives null for a timestamp without a date, and a cast in ANSI mode, the default, fails.
# Seen: both are noon of the day on which the query runs, so the same message has another time tomorrow. "2026" is midnight
# of 1 January. The documentation of the cast lists "hh:mm" among what is accepted, but not what day it is.
# Why it matters: a replay of a Kafka topic moves the rows to the day of the replay. A field that held a time of day by
# mistake passes every check for fresh data.
# What to do: demand the whole form with timestampFormat, or check the text's length before the cast.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.5

SPARK_LOCAL_IP=127.0.0.1 "$folder/venv/bin/python" 2>"$folder/log" - <<'PY' || { tail -n 20 "$folder/log" >&2; exit 1; }
import sys
import datetime

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


today = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"
read = """from_json('{"at":"12:00"}', 'at TIMESTAMP').at"""
expect("from_json 12:00", answer(f"CAST({read} AS STRING)"), f"{today} 12:00:00")
expect("cast 12:00", answer("CAST(CAST('12:00' AS TIMESTAMP) AS STRING)"), f"{today} 12:00:00")
expect("cast 2026", answer("CAST(CAST('2026' AS TIMESTAMP) AS STRING)"), "2026-01-01 00:00:00")
strict = """from_json('{"at":"12:00"}', 'at TIMESTAMP', map('timestampFormat', "yyyy-MM-dd'T'HH:mm:ssXXX")).at"""
expect("from_json with a format", answer(strict), None)
PY
