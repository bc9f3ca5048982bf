"""The sink alone, beside a server-side COPY of the same rows into the same hypertable and Spark's own JDBC append.

    server COPY  : COPY trade_data FROM a text file that the server reads itself
    sink         : frame of COPY lines -> mapInArrow -> fence, COPY, commit (and once more with the candles)
    JDBC append  : frame of typed columns -> DataFrameWriter.jdbc, batches of 10,000

Frames are cached before the clock starts, the table is emptied before each run, the kinds take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that every Spark programme uses

from benchmarks.stage import Stage, median, stage
from cryptoviz.codec import encode
from cryptoviz.records import Side, Trade
from cryptoviz.settings import Role
from cryptoviz.stack.jars import bench_jars
from cryptoviz.storage.database import connect
from cryptoviz.streams.ownership import Ownership
from cryptoviz.topics import TOPICS
from streaming.executors import EXECUTOR_ROWS, write_partitions
from streaming.schemas import spark_schema
from streaming.session import session
from streaming.sink import Fence
from streaming.transforms import copy_lines

_PAIRS = ("BTC/USD", "ETH/USD", "SOL/USD", "ADA/USD", "DOT/USD", "XRP/USD", "LTC/USD", "DOGE/USD")
_PARTITIONS = 3
_COLUMNS = list(TOPICS["rawtrade"].columns())


def trades(count: int, back: timedelta = timedelta(0)) -> Iterator[Trade]:
    """`count` trades of eight pairs over an hour that ended `back` ago."""
    begin = datetime.now(UTC) - timedelta(hours=1) - back
    step = timedelta(hours=1) / count
    for number in range(count):
        at = begin + number * step
        yield Trade(
            received_at=at,
            timestamp=at,
            exchange="kraken",
            pair=_PAIRS[number % len(_PAIRS)],
            price=Decimal(9_312_050 + number % 10_000).scaleb(-2),
            volume=Decimal(number % 99_991 + 1).scaleb(-6),
            side=Side.BUY if number % 3 else Side.SELL,
            trade_id=number // len(_PAIRS),
        )


def jdbc_append(one: Stage, frame: DataFrame) -> None:
    """Spark's own way into PostgreSQL."""
    address = one.superuser_url.partition("@")[2]
    user, _, password = one.superuser_url.partition("://")[2].partition("@")[0].partition(":")
    frame.write.format("jdbc").mode("append").options(
        url=f"jdbc:postgresql://{address}",
        dbtable="trade_data",
        user=user,
        password=password,
        driver="org.postgresql.Driver",
        batchsize=10_000,
        stringtype="unspecified",
    ).save()


def server_copy(one: Stage, file: Path) -> float:
    """Rows a second are what everything else is compared with; returns the seconds of one COPY."""
    with one.connect() as connection:
        started = time.perf_counter()
        connection.execute(f"COPY trade_data ({', '.join(_COLUMNS)}) FROM '{file}'")  # type: ignore[arg-type]
        return time.perf_counter() - started


def empty(one: Stage) -> None:
    """Start each run from the same state."""
    with one.connect() as connection:
        connection.execute("TRUNCATE trade_data, candles")
        connection.execute("CHECKPOINT")


def clock(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(rows: int, runs: int) -> None:
    """Run every kind `runs` times in turn and print a table."""
    with stage(kafka=False) as one:
        spark = session(one.settings, "benchmark", bench_jars(one.settings))
        owner = Ownership("ingestion", one.settings)
        owner.claim()
        batch = iter(range(1_000_000))
        source = one.server_folder / "messages.parquet"
        written = [("rawtrade", n % _PARTITIONS, n, encode(trade)) for n, trade in enumerate(trades(rows))]
        spark.createDataFrame(written, "topic string, partition int, offset long, value binary").repartition(
            _PARTITIONS, "partition"
        ).write.parquet(str(source))
        messages = spark.read.parquet(str(source)).withColumn("key", F.lit(b"kraken"))
        # As from Kafka: one task for each partition of the topic.
        lines = copy_lines(messages).repartitionByRange(_PARTITIONS, "partition").sortWithinPartitions("offset").cache()
        typed = (
            messages.select(F.from_json(F.col("value").cast("string"), spark_schema(Trade)).alias("record"))
            .select("record.*")
            .select(*_COLUMNS)
            .repartition(_PARTITIONS)
            .cache()
        )
        rest = lines.withColumn("minute", F.lit(None).cast("timestamp")).cache()
        file = one.server_folder / "rows.txt"
        file.write_text("".join(row.line for row in lines.select("line").collect()))
        print(f"{lines.count()} {rest.count()} {typed.count()} rows")
        writer = partial(connect, Role.WRITER, one.settings)
        ends = {"rawtrade": {str(part): rows - (rows - 1 - part) % _PARTITIONS for part in range(_PARTITIONS)}}

        def sink(frame: DataFrame) -> None:
            fence = Fence("ingestion", owner.epoch, "benchmark", -1, next(batch))
            frame.mapInArrow(partial(write_partitions, writer, fence, ends), EXECUTOR_ROWS).toArrow()

        kinds: dict[str, Callable[[], float]] = {
            "server COPY": partial(server_copy, one, file),
            "sink": partial(clock, partial(sink, rest)),
            "sink with candles": partial(clock, partial(sink, lines)),
            "JDBC append": partial(clock, partial(jdbc_append, one, typed)),
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(runs + 1):
            for kind, run in kinds.items():
                empty(one)
                seconds[kind].append(run())
        _print(rows, {kind: values[1:] for kind, values in seconds.items()})
        spark.stop()
        owner.close()


def _print(rows: int, seconds: dict[str, list[float]]) -> None:
    rates = {kind: rows / median(values) for kind, values in seconds.items()}
    print(f"{'':>20} {'rows/s':>10} {'of COPY':>8} {'x JDBC':>8}")
    for kind, rate in rates.items():
        print(f"{kind:>20} {rate:>10.0f} {rate / rates['server COPY']:>8.2f} {rate / rates['JDBC append']:>8.1f}")
    kept = rates["sink"] >= 0.85 * rates["server COPY"] and rates["sink"] >= 2.5 * rates["JDBC append"]
    print(f"budget: sink >= 0.85 of COPY and >= 2.5 x JDBC: {'kept' if kept else 'MISSED'}")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.rows, arguments.runs)


if __name__ == "__main__":
    main()
