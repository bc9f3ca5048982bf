"""Trains the archive of classes that a driver's JVM starts from: a start takes 13 CPU-seconds with it, 21 without.

    a driver that does a little of what the jobs do -> its JVM ends and leaves the archive -> `session` starts from it

The archive fits one Java, one Spark and one place of the jars; a JVM that it does not fit goes on without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.settings import Settings
from cryptoviz.stack.jars import class_archive
from cryptoviz.topics import INGESTED
from streaming.session import session
from streaming.sources import messages
from streaming.transforms import copy_lines

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_EXIT_S: Final = 120
_MESSAGES: Final = (
    "cast('a' AS binary) AS key",
    "encode(cast(value AS string), 'UTF-8') AS value",
    "'rawtrade' AS topic",
    "0 AS partition",
    "value AS offset",
    "timestamp",
)


def train(settings: Settings) -> bool:
    """Leave the archive beside the jars of Spark; False when this Java cannot make one."""
    archive = class_archive(settings)
    fresh = archive.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    local = settings.model_copy(update={"spark_master": "local[2]"})
    spark = session(local, "train", java_options=[f'"-XX:ArchiveClassesAtExit={fresh}"', "-Xlog:disable"])
    jvm = spark.sparkContext._gateway.proc
    with tempfile.TemporaryDirectory() as checkpoint:
        _work(spark, settings, checkpoint)
    spark.stop()
    jvm.stdin.close()  # its end, for a JVM that PySpark has started
    jvm.wait(_EXIT_S)
    with suppress(FileNotFoundError):
        fresh.rename(archive)
    return archive.exists()


def _work(spark: SparkSession, settings: Settings, checkpoint: str) -> None:
    """A micro-batch on both paths of the sink, from made-up messages, and the plan of one from Kafka."""
    messages(spark, settings, [topic.name for topic in INGESTED]).schema  # noqa: B018 - resolves Kafka's source
    source = spark.readStream.format("rate").option("rowsPerSecond", 100).load().selectExpr(*_MESSAGES)
    query = (
        source.writeStream.foreachBatch(_batch)
        .option("checkpointLocation", checkpoint)
        .trigger(processingTime="50 milliseconds")
        .start()
    )
    while query.isActive and (query.lastProgress is None or query.lastProgress["numInputRows"] == 0):
        query.awaitTermination(0.2)
    query.stop()


def _batch(frame: DataFrame, _number: int) -> None:
    frame.toArrow()
    lines = copy_lines(frame)
    lines.mapInArrow(_unchanged, lines.schema).toArrow()


def _unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
    return batches
