"""Records as lines of PostgreSQL's COPY text format, and the judgement on messages that no pattern covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from cryptoviz.codec import RefusedError, decode
from cryptoviz.records import MAX_FUTURE, Record, Trade
from cryptoviz.topics import TOPICS, Topic
from streaming.sink import Touched

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_IN_ARRAY: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})
_GETTERS: Final = {
    topic.name: tuple(attrgetter(source) for source in topic.columns().values()) for topic in TOPICS.values()
}


@dataclass(frozen=True)
class Message:
    """A Kafka message as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Refused:
    """A message that cannot be stored, and why."""

    message: Message
    kind: str
    reason: str


def copy_line(topic: Topic, record: Record) -> bytes:
    """The row of `record` in its topic's table, newline included, columns in the order of `Topic.columns`."""
    return ("\t".join(_text(get(record)) for get in _GETTERS[topic.name]) + "\n").encode()


def _text(value: Any) -> str:
    match value:
        case None:
            return r"\N"
        case bool():
            return "t" if value else "f"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Decimal():
            return format(value, "f")
        case tuple():
            return _array(value).translate(_ESCAPES)
        case _:
            return str(value).translate(_ESCAPES)


def _array(values: Iterable[str]) -> str:
    quoted = (f'"{value.translate(_IN_ARRAY)}"' for value in values)
    return f"{{{','.join(quoted)}}}"


def judge(message: Message, now: datetime) -> Any:
    """The record in `message`.

    Raises:
        RefusedError: it holds no valid record, or one that was received later than `now`.
    """
    record = decode(message.topic, message.value or b"")
    if record.received_at > now + MAX_FUTURE:
        raise RefusedError("invalid", f"received_at is more than {MAX_FUTURE.seconds} s in the future")
    return record


@dataclass
class Rows:
    """What a batch of messages came to: lines for each topic's table, the minutes touched, the messages refused."""

    lines: dict[str, list[bytes | memoryview]] = field(default_factory=dict)
    minutes: set[tuple[str, str, datetime]] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    count: int = 0

    @classmethod
    def of(cls, table: pa.Table, now: datetime) -> Rows:
        """The rows of a frame of `streaming.transforms.copy_lines`, with the codec's word on what it left open."""
        rows = cls(count=table.num_rows)
        certain = table.filter(pc.is_valid(table["line"]))
        topics = certain["topic"]
        for name in topics.unique().to_pylist():
            rows.lines[name] = _pieces(certain["line"].filter(pc.equal(topics, name)))
        rows._touch(certain)
        for message in messages(table.filter(pc.is_null(table["line"]))):
            rows.judge(message, now)
        return rows

    def judge(self, message: Message, now: datetime) -> None:
        """Take in one message that only the codec can judge."""
        try:
            record = judge(message, now)
        except RefusedError as error:
            self.refused.append(Refused(message, error.kind, error.reason))
            return
        self.lines.setdefault(message.topic, []).append(copy_line(TOPICS[message.topic], record))
        if isinstance(record, Trade):
            minute = record.timestamp.astimezone(UTC).replace(second=0, microsecond=0)
            self.minutes.add((record.exchange, record.pair, minute))

    def touched(self) -> Touched:
        """The minutes of trades in these rows, in a fixed order."""
        return Touched(*zip(*sorted(self.minutes), strict=True)) if self.minutes else Touched()

    def _touch(self, certain: pa.Table) -> None:
        trades = certain.filter(pc.is_valid(certain["minute"]))
        distinct = trades.group_by(["exchange", "pair", "minute"]).aggregate([])
        columns = (distinct[name].to_pylist() for name in ("exchange", "pair", "minute"))
        self.minutes.update(zip(*columns, strict=True))


def messages(table: pa.Table) -> Iterator[Message]:
    """The messages in a frame that kept them."""
    for row in table.select(["topic", "partition", "offset", "key", "value"]).to_pylist():
        yield Message(**row)


def _pieces(lines: pa.ChunkedArray) -> list[bytes | memoryview]:
    """The lines as COPY data. Every line ends with its newline, so the column's own buffer is it, uncopied."""
    return [_data(chunk) for chunk in lines.chunks if len(chunk)]


def _data(chunk: pa.StringArray) -> memoryview:
    _validity, offsets, data = chunk.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[chunk.offset] : ends[chunk.offset + len(chunk)]]
