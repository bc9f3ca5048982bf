"""The Spark session: small on one machine, the cluster's own where a master is set.

Nothing here but settings: what each costs or saves was measured with Spark 4.0 and is said beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

from cryptoviz.settings import Settings
from cryptoviz.stack.jars import JarSet, class_archive, jar_folder, spark_jars

_LOG4J: Final = Path(__file__).with_name("log4j2.properties").as_uri()
_LOCAL_CHECKPOINTS: Final = {
    # The default manager forks processes for every file on a local disk: 66 to 90 ms a trigger instead of 23 to 26.
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"
    ),
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}


def _jars(settings: Settings) -> list[str]:
    jars = spark_jars(settings)
    if not jars:
        folder = jar_folder(settings, JarSet.SPARK)
        raise FileNotFoundError(f"Spark's Kafka connector is not in {folder}; `make up` fetches it")
    return [str(jar) for jar in jars]


def session(
    settings: Settings, name: str, class_path: Iterable[Path] = (), java_options: Iterable[str] = ()
) -> SparkSession:
    """The session of this process, created on first use.

    `class_path` are further jars for the driver; `java_options` are its JVM's instead of the archive of classes.
    """
    # Executors must find the same packages as the driver.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if settings.spark_master.startswith("local"):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master(settings.spark_master).appName(f"cryptoviz-{name}")
    for key, value in configuration(settings, class_path, java_options).items():
        builder = builder.config(key, value)
    spark: SparkSession = builder.getOrCreate()
    return spark


def _java_options(settings: Settings, instead: Iterable[str]) -> str:
    options = ["-XX:+UseSerialGC", "-Duser.timezone=UTC", f"-Dlog4j2.configurationFile={_LOG4J}"]
    archive = class_archive(settings)
    if not instead and settings.spark_master.startswith("local") and archive.exists():
        # Four tenths less CPU time up to the first batch. One that does not fit is refused by the JVM, in silence.
        instead = [f'"-XX:SharedArchiveFile={archive}"', "-Xlog:disable", "-Xlog:all=error:stderr"]
    return " ".join([*options, *instead])


def configuration(
    settings: Settings, class_path: Iterable[Path] = (), java_options: Iterable[str] = ()
) -> dict[str, str]:
    """Every Spark setting that differs from Spark's defaults.

    Raises:
        FileNotFoundError: the jars of the Kafka connector are not there yet.
    """
    jars = _jars(settings)
    options = {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": _java_options(settings, java_options),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.sql.streaming.minBatchesToRetain": "20",
        "spark.sql.streaming.numRecentProgressUpdates": "5",
        # While Spark finds nothing by itself this is the only sign that it looks.
        "spark.sql.streaming.noDataProgressEventInterval": "2000",
        "spark.sql.streaming.noDataMicroBatches.enabled": "false",
        # After a trigger that found nothing. The ingestion lets Spark go on when it will find something.
        "spark.sql.streaming.pollingDelay": "500ms",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if settings.spark_master.startswith("local"):
        options |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            # On the class path they are found where they lie; `spark.jars` copies them into every session.
            "spark.driver.extraClassPath": os.pathsep.join([*jars, *map(str, class_path)]),
        }
    else:
        options["spark.jars"] = ",".join(jars)
    if "://" not in settings.checkpoints:
        options |= _LOCAL_CHECKPOINTS
    return options
