"""Records as lines of PostgreSQL's COPY text format, and the judgement on messages that no pattern covers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import starmap
from operator import attrgetter
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

    @classmethod
    def of(cls, table: pa.Table, now: datetime) -> Rows:
        """The rows of a frame of `streaming.transforms.copy_lines`, with the codec's word on what it left open."""
        rows = cls(count=table.num_rows)
        certain = table.filter(pc.is_valid(table["line"]))
        topics = certain["topic"]
        for name in topics.unique().to_pylist():
            rows.lines[name] = _pieces(certain["line"].filter(pc.equal(topics, name)))
        trades = certain.filter(pc.is_valid(certain["minute"]))
        first = trades.group_by(["exchange", "pair", "minute"]).aggregate([("happened_at", "min")])
        for row in first.to_pylist():
            rows._touch(row["exchange"], row["pair"], row["happened_at_min"])
        for message in messages(table.filter(pc.is_null(table["line"]))):
            rows.judge(message, now)
        return rows

    @classmethod
    def judged(cls, batch: Iterable[Message], now: datetime) -> Rows:
        """The rows of messages that are all left to the codec."""
        rows = cls()
        for message in batch:
            rows.count += 1
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
            self._touch(record.exchange, record.pair, record.timestamp)

    def touched(self) -> Touched:
        """The minutes of trades in these rows, each by its earliest trade here, in a fixed order."""
        columns = zip(*((*key[:2], first) for key, first in sorted(self.first_trades.items())), strict=True)
        return Touched(*columns) if self.first_trades else Touched()

    def _touch(self, exchange: str, pair: str, instant: datetime) -> None:
        key = (exchange, pair, instant.replace(second=0, microsecond=0))
        self.first_trades[key] = min(instant, self.first_trades.get(key, instant))


def messages(table: pa.Table) -> Iterator[Message]:
    """The messages in a frame that kept them."""
    columns = (table[name].to_pylist() for name in MESSAGE_COLUMNS)
    return starmap(Message, zip(*columns, strict=True))


def _pieces(lines: pa.ChunkedArray) -> list[bytes | memoryview]:
    """The lines as COPY data. Every line ends with its newline, so the column's own buffer is it, uncopied."""
    return [_data(chunk) for chunk in lines.chunks if len(chunk)]


def _data(chunk: pa.StringArray) -> memoryview:
    _validity, offsets, data = chunk.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[chunk.offset] : ends[chunk.offset + len(chunk)]]
