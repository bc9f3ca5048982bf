"""The executors' half of the ingestion: large micro-batches, a transaction for each partition of a topic.

task: frames of COPY lines of one partition --as they arrive--> sink -> row counts, candles, refused messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import psycopg
import pyarrow as pa

from cryptoviz import codec
from cryptoviz.bus import Ends
from cryptoviz.topics import INGESTED
from streaming.rows import Message, Part, Refused, Rows, by_partition
from streaming.sink import Arriving, Fence, Sink, Stored, Touched, TruncatedError

EXECUTOR_ROWS: Final = "topic string, partition int, offset long, key binary, value binary, kind string, reason string"
"""The frame that `write_partitions` answers with: refused messages, candles to publish, row counts."""

_ANSWERS: Final = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("kind", pa.string()),
        ("reason", pa.string()),
    ]
)
_PARTITIONS_OF_A_TOPIC: Final = 10_000
_sinks: dict[int, Sink] = {}


def write_partitions(
    connect_writer: Callable[[], psycopg.Connection[Any]], fence: Fence, ends: Ends, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """On an executor: store a Spark partition (a partition of a topic) while it arrives.

    Answers with candles and refused messages. Raises TruncatedError when less arrives than the batch holds: what Spark
    hands over just ends when the task that reads it fails, and half a partition must not count as stored.
    """
    sink = _sinks.setdefault(0, Sink(connect_writer))
    answers: list[dict[str, Any]] = []
    for part in by_partition(batches):
        rows = Rows()
        lines = Arriving(rows.lines_of(part, datetime.now(UTC)))
        stored: Stored = sink.store(
            replace(fence, part=_part(part.topic, part.partition)),
            {part.topic: lines},
            partial(_touched_by_all, part, rows, ends),
        )
        answers.append({"kind": "count", "offset": rows.count})
        answers += [{"kind": "candle", "value": codec.encode(candle)} for candle in stored.candles]
        answers += [{**item.message._asdict(), "kind": item.kind, "reason": item.reason} for item in rows.refused]
    yield pa.RecordBatch.from_pylist(answers, schema=_ANSWERS)


def refused(row: Mapping[str, Any]) -> Refused:
    """A refused message among the answers."""
    names = ("topic", "partition", "offset", "key", "value")
    return Refused(Message(**{name: row[name] for name in names}), row["kind"], row["reason"])


def _part(topic: str, partition: int) -> int:
    """The fence part of one partition of one topic: the same in every replay, wherever Spark runs it."""
    return [known.name for known in INGESTED].index(topic) * _PARTITIONS_OF_A_TOPIC + partition


def _touched_by_all(part: Part, rows: Rows, ends: Ends) -> Touched:
    last = ends[part.topic][str(part.partition)] - 1
    if rows.last_offset != last:
        raise TruncatedError(f"{part.topic} {part.partition} ends at {rows.last_offset}, not at {last}")
    return rows.touched()
