#!/usr/bin/env bash
# Spark (pyspark 4.0.5): to_json and to_csv cut a timestamp to milliseconds, which from_json reads exactly.
#
# Expected: what from_json reads, to_json writes: Spark's timestamps have microseconds, and a cast to text keeps them.
# Seen: 00:00:00.123456 is written as 00:00:00.123, for both kinds of timestamp, in JSON and in CSV. The documentation gives
# the default pattern, [.SSS]; reading uses another, which takes any number of digits.
# Why it matters: trades of one millisecond lose their order on the way through Kafka, and a key made of pair and time is no
# longer unique. A round trip in a test passes, as long as its times are whole milliseconds.
# What to do: to_json(value, map('timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX")), or write epoch microseconds.
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


at = "TIMESTAMP '2026-11-30 00:00:00.123456'"
expect("cast", answer(f"CAST({at} AS STRING)"), "2026-11-30 00:00:00.123456")
expect("to_json", answer(f"to_json(struct({at} AS at))"), '{"at":"2026-11-30T00:00:00.123Z"}')
expect("to_csv", answer(f"to_csv(struct({at} AS at))"), "2026-11-30T00:00:00.123Z")
read = """from_json('{"at":"2026-11-30T00:00:00.123456Z"}', 'at TIMESTAMP').at"""
expect("from_json", answer(f"CAST({read} AS STRING)"), "2026-11-30 00:00:00.123456")
options = """map('timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX")"""
expect("with a format", answer(f"to_json(struct({at} AS at), {options})"), '{"at":"2026-11-30T00:00:00.123456Z"}')
PY
