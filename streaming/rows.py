"""Records as lines of PostgreSQL's COPY text format, and the judgement on messages that no pattern covers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain, groupby, starmap
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cryptoviz.codec import RefusedError, decode
from cryptoviz.records import MAX_FUTURE, Record, Trade
from cryptoviz.topics import TOPICS, Topic
from streaming.sink import Touched

_SPECIAL: Final = re.compile(r"[\\\t\n\r]")
_ESCAPES: Final = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}
_IN_ARRAY: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})
_GETTERS: Final = {topic.name: attrgetter(*topic.columns().values()) for topic in TOPICS.values() if topic.columns()}
MESSAGE_COLUMNS: Final = ("topic", "partition", "offset", "key", "value")


class Message(NamedTuple):
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
    return (
        "\t".join([_TEXTS.get(type(value), _escaped)(value) for value in _GETTERS[topic.name](record)]) + "\n"
    ).encode()


def _escaped(value: Any) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], str(value))


def _array(values: Iterable[str]) -> str:
    quoted = (f'"{value.translate(_IN_ARRAY)}"' for value in values)
    return _escaped(f"{{{','.join(quoted)}}}")


_TEXTS: Final[Mapping[type, Callable[[Any], str]]] = {
    NoneType: lambda _: r"\N",
    bool: lambda value: "t" if value else "f",
    int: str,
    float: repr,
    Decimal: str,
    datetime: datetime.isoformat,
    tuple: _array,
}
"""How values are written; whatever is not here (texts, words of an enumeration) as text with its specials escaped."""


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
    first_trades: dict[tuple[str, str, datetime], datetime] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    count: int = 0
    last_offset: int = -1

    @classmethod
    def of(cls, table: pa.Table, now: datetime) -> Rows:
        """The rows of a frame of `streaming.transforms.copy_lines`, with the codec's word on what it left open."""
        rows = cls()
        for part in by_partition(table.to_batches()):
            rows.lines.setdefault(part.topic, []).extend(rows.lines_of(part, now))
        return rows

    @classmethod
    def judged(cls, batch: Iterable[Message], now: datetime) -> Rows:
        """The rows of messages that are all left to the codec."""
        rows = cls()
        for message in batch:
            rows.count += 1
            rows.judge(message, now)
        return rows

    def lines_of(self, part: Part, now: datetime) -> Iterator[bytes | memoryview]:
        """The lines of one partition of a topic, piece by piece, while its frames arrive; the rest is remembered."""
        for batch in part.batches:
            self.count += batch.num_rows
            self.last_offset = batch["offset"][-1].as_py()
            lines = batch["line"]
            trades = batch.filter(pc.is_valid(batch["minute"]))
            first = pa.table(trades).group_by(["exchange", "pair", "minute"]).aggregate([("happened_at", "min")])
            for row in first.to_pylist():
                self._touch(row["exchange"], row["pair"], row["happened_at_min"])
            if lines.null_count < len(lines):
                yield _data(lines.drop_null())
            if lines.null_count:
                judged = (self._line(message, now) for message in messages(batch.filter(pc.is_null(lines))))
                yield b"".join(line for line in judged if line is not None)

    def judge(self, message: Message, now: datetime) -> None:
        """Take in one message that only the codec can judge."""
        line = self._line(message, now)
        if line is not None:
            self.lines.setdefault(message.topic, []).append(line)

    def _line(self, message: Message, now: datetime) -> bytes | None:
        try:
            record = judge(message, now)
        except RefusedError as error:
            self.refused.append(Refused(message, error.kind, error.reason))
            return None
        if isinstance(record, Trade):
            self._touch(record.exchange, record.pair, record.timestamp)
        return copy_line(TOPICS[message.topic], record)

    def touched(self) -> Touched:
        """The minutes of trades in these rows, each by its earliest trade here, in a fixed order."""
        columns = zip(*((*key[:2], first) for key, first in sorted(self.first_trades.items())), strict=True)
        return Touched(*columns) if self.first_trades else Touched()

    def _touch(self, exchange: str, pair: str, instant: datetime) -> None:
        key = (exchange, pair, instant.replace(second=0, microsecond=0))
        self.first_trades[key] = min(instant, self.first_trades.get(key, instant))


@dataclass(frozen=True)
class Part:
    """What arrives of one partition of a topic: frames of `streaming.transforms.copy_lines`, one after the other."""

    topic: str
    partition: int
    batches: Iterator[pa.RecordBatch]


def by_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[Part]:
    """Frames of any messages as one part for each partition of a topic.

    A Spark task reads one partition of a topic after the other, so its frames are passed on as they arrive.

    Raises:
        ValueError: a partition comes back after another one has begun.
    """
    seen = set()
    for key, pieces in groupby(chain.from_iterable(map(_pieces, batches)), key=itemgetter(0)):
        if key in seen:
            raise ValueError(f"the messages of partition {key[1]} of {key[0]} do not follow each other")
        seen.add(key)
        yield Part(key[0], key[1], map(itemgetter(1), pieces))


def _pieces(batch: pa.RecordBatch) -> list[tuple[tuple[str, int], pa.RecordBatch]]:
    keys = pa.table(batch.select(["topic", "partition"])).group_by(["topic", "partition"]).aggregate([]).to_pylist()
    if len(keys) == 1:
        return [((keys[0]["topic"], keys[0]["partition"]), batch)]
    masks = [pc.and_(*(pc.equal(batch[name], key[name]) for name in ("topic", "partition"))) for key in keys]
    return [((key["topic"], key["partition"]), batch.filter(mask)) for key, mask in zip(keys, masks, strict=True)]


def messages(table: pa.Table | pa.RecordBatch) -> Iterator[Message]:
    """The messages in a frame that kept them."""
    columns = (table[name].to_pylist() for name in MESSAGE_COLUMNS)
    return starmap(Message, zip(*columns, strict=True))


def _data(lines: pa.StringArray) -> memoryview:
    """The lines as COPY data. Every line ends with its newline, so the column's own buffer is it, uncopied."""
    _validity, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[lines.offset] : ends[lines.offset + len(lines)]]
