"""The whole job from Kafka to the table, catching up, beside a server-side COPY of the same rows and a JDBC append job.

    loaded topic -> python -m streaming run ingestion -> trade_data, candles, topic `candle`
    loaded topic -> Spark: from_json, foreachBatch, DataFrameWriter.jdbc -> trade_data

The job runs and is warm, is stopped with SIGSTOP while the topic is filled, and goes on with the clock running until
the last row is committed. The JDBC job counts the time of its triggers alone, start excluded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that every Spark programme uses

from benchmarks.latency import ingestion, wait_for_rows
from benchmarks.sink import empty, jdbc_append, server_copy, trades
from benchmarks.stage import Stage, family, median, peak_memories, stage
from cryptoviz.bus import Producer, offsets
from cryptoviz.records import Trade
from cryptoviz.stack.jars import bench_jars
from cryptoviz.topics import TOPICS
from streaming.rows import copy_line
from streaming.schemas import spark_schema
from streaming.session import session
from streaming.sources import kafka_options

_COLUMNS = list(TOPICS["rawtrade"].columns())


def load_topic(one: Stage, rows: int, shift: timedelta) -> Path:
    """Send `rows` trades, and write the same rows to a file for the server's COPY."""
    producer = Producer(one.settings, limit=rows + 1)
    producer.start()
    file = one.server_folder / "rows.txt"
    with file.open("wb") as out:
        for trade in trades(rows, shift):
            producer.send("rawtrade", trade)
            out.write(copy_line(TOPICS["rawtrade"], trade))
    if not producer.flush(120) or producer.lost:
        raise RuntimeError("the broker did not take the messages")
    producer.close()
    return file


def ends(one: Stage) -> dict[str, dict[str, int]]:
    """Where the topic ends now, as Spark wants offsets written."""
    held = offsets(one.settings, ["rawtrade"])
    return {topic: {str(number): kept.stop for number, kept in parts.items()} for topic, parts in held.items()}


def catch_up(one: Stage, rows: int, runs: int) -> tuple[list[float], list[float], dict[str, float]]:
    """Seconds of the job and of the server's COPY for the same rows, run by run, and the job's memory."""
    job_seconds, copy_seconds = [], []
    log = one.server_folder / "ingestion.log"
    # The runner is stopped with the rest, and must not take that for a hang when it goes on.
    with ingestion(one, log, CRYPTOVIZ_STREAM_HANG_S="600", CRYPTOVIZ_STREAM_STALL_S="600") as job:
        load_topic(one, 1000, timedelta(days=5))
        wait_for_rows(one, 1000, 180)
        for run in range(runs + 1):
            processes = family(job.pid)
            for process in processes:
                process.suspend()
            file = load_topic(one, rows, timedelta(hours=2 * run))
            empty(one)
            copy_seconds.append(server_copy(one, file))
            empty(one)
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()
            resumed = datetime.now(UTC)
            wait_for_rows(one, rows, 600)
            job_seconds.append((last_commit(one) - resumed).total_seconds())
        memory = peak_memories(job.pid)
    return job_seconds[1:], copy_seconds[1:], memory


def last_commit(one: Stage) -> datetime:
    """When the newest of the transactions that stored the trades was committed, by PostgreSQL's own clock."""
    with one.connect() as connection:
        statement = (
            "SELECT max(pg_xact_commit_timestamp(id)) FROM (SELECT DISTINCT xmin AS id FROM trade_data) AS stored"
        )
        return connection.execute(statement).fetchone()[0]  # type: ignore[index, return-value]


def jdbc_job(one: Stage, spark: SparkSession, run: int, begin: dict[str, dict[str, int]]) -> float:
    """The topic from `begin` on through Spark's JDBC writer; returns rows a second."""
    empty(one)
    options = kafka_options(one.settings) | {"subscribe": "rawtrade", "startingOffsets": json.dumps(begin)}
    source = spark.readStream.format("kafka").options(**options).load()
    record = F.from_json(F.col("value").cast("string"), spark_schema(Trade)).alias("record")
    decoded = source.select(record).select("record.*").select(*_COLUMNS)

    def append(frame: DataFrame, _batch: int) -> None:
        jdbc_append(one, frame)

    checkpoint = one.server_folder / f"jdbc-{run}"
    query = decoded.writeStream.foreachBatch(append).option("checkpointLocation", str(checkpoint))
    running = query.trigger(availableNow=True).start()
    running.awaitTermination()
    progress = [json.loads(entry.json) for entry in running.recentProgress]
    shutil.rmtree(checkpoint)
    rows = sum(entry["numInputRows"] for entry in progress)
    return float(rows / sum(entry["durationMs"]["triggerExecution"] for entry in progress) * 1000)


def measure(rows: int, runs: int) -> None:
    """Run everything and print a table."""
    timed: Callable[[list[float]], float] = lambda seconds: rows / median(seconds)  # noqa: E731
    with stage() as one:
        job_seconds, copy_seconds, memory = catch_up(one, rows, runs)
        before = ends(one)
        load_topic(one, rows, timedelta(hours=2 * runs))
        spark = session(one.settings, "benchmark", bench_jars(one.settings))
        jdbc = median([jdbc_job(one, spark, run, before) for run in range(runs + 1)][1:])
        spark.stop()
    rates = {"server COPY": timed(copy_seconds), "ingestion job": timed(job_seconds), "JDBC append job": jdbc}
    print(f"{'':>20} {'rows/s':>10} {'of COPY':>8} {'x JDBC':>8}")
    for kind, rate in rates.items():
        print(f"{kind:>20} {rate:>10.0f} {rate / rates['server COPY']:>8.2f} {rate / jdbc:>8.1f}")
    kept = rates["ingestion job"] >= 0.45 * rates["server COPY"] and rates["ingestion job"] >= 2.5 * jdbc
    print(f"budget: job >= 0.45 of COPY and >= 2.5 x JDBC: {'kept' if kept else 'MISSED'}")
    for name, most in memory.items():
        print(f"memory of {name}: {most:.0f} MB at most")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.rows, arguments.runs)


if __name__ == "__main__":
    sys.exit(main())
