"""What the driver must know of its own checkpoint: the query's id, and how large a batch is before it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from cryptoviz.bus import Ends


class Checkpoint:
    """The checkpoint folder of one query, on any file system that Spark can write.

    metadata        {"id": the query's id, made with the folder}
    offsets/<batch> written before a batch starts: where it ends, per topic and partition
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.path = path
        self._jvm: Any = spark.sparkContext._jvm
        self._root = self._jvm.org.apache.hadoop.fs.Path(path)
        configuration = spark.sparkContext._jsc.hadoopConfiguration()
        self._files = self._root.getFileSystem(configuration)
        self._id: str | None = None
        self._batch = -1
        self._begins: Ends = {}
        self._ends: Ends = {}

    @property
    def query_id(self) -> str:
        """The id of the query that this checkpoint belongs to; another one after the folder was lost."""
        if self._id is None:
            self._id = json.loads(self._read("metadata"))["id"]
        return self._id

    def range_of(self, batch: int) -> tuple[Ends, Ends]:
        """Where the batch that is about to run begins and ends; a query's first batch begins nowhere."""
        if batch != self._batch:
            begins = self._ends if batch == self._batch + 1 else self._read_ends(batch - 1)
            self._batch, self._begins, self._ends = batch, begins, self._read_ends(batch)
        return self._begins, self._ends

    def set_aside(self) -> str:
        """Rename the folder, so that the next query starts afresh; returns the new name."""
        aside = self._jvm.org.apache.hadoop.fs.Path(f"{self.path}.lost-{self.query_id}")
        self._files.rename(self._root, aside)
        self._id, self._batch, self._ends = None, -1, {}
        return str(aside.toString())

    def _read_ends(self, batch: int) -> Ends:
        if batch < 0:
            return {}
        # Three lines: the version of the format, the batch's metadata, the offsets of the only source.
        ends: Ends = json.loads(self._read(f"offsets/{batch}").splitlines()[2])
        return ends

    def _read(self, name: str) -> str:
        if "://" not in self.path:
            return Path(self.path, name).read_text()  # eight calls into the JVM fewer, before each batch
        stream = self._files.open(self._jvm.org.apache.hadoop.fs.Path(self._root, name))
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()


def size(begins: Ends, ends: Ends) -> int:
    """How many messages lie between, at most."""
    return sum(
        end - begins.get(topic, {}).get(number, 0) for topic, numbers in ends.items() for number, end in numbers.items()
    )
