"""Offsets, lag and messages of topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, OffsetSpec, TopicPartition

from cryptoviz.bus.administration import partitions
from cryptoviz.bus.client import FETCH_WAIT_MS, administrator, consumer, patiently
from cryptoviz.bus.interface import BusError, Message
from cryptoviz.settings import Settings


def offsets(settings: Settings, topics: Iterable[str], *, timeout_s: float = 10) -> dict[str, dict[int, range]]:
    """Topic -> partition -> offsets held: ``range(first, next)``. Topics that do not exist are left out.

    Raises:
        BusError: the broker cannot be reached.
    """
    wanted = list(topics)
    with administrator(settings, timeout_s) as admin:
        # A broker that has just started or just created a topic leads no partition for a moment.
        return patiently(timeout_s)(_offsets, admin, wanted, timeout_s)


def _offsets(admin: KafkaAdminClient, topics: list[str], timeout_s: float) -> dict[str, dict[int, range]]:
    found = partitions(admin, timeout_s)
    every = [TopicPartition(topic, number) for topic in topics for number in sorted(found.get(topic, ()))]
    first, after = (
        admin.list_partition_offsets(dict.fromkeys(every, spec), timeout_ms=timeout_s * 1000)
        for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
    )
    held: dict[str, dict[int, range]] = {topic: {} for topic in topics if topic in found}
    for partition in every:
        held[partition.topic][partition.partition] = range(first[partition].offset, after[partition].offset)
    return held


def lag(
    settings: Settings, positions: Mapping[str, Mapping[int, int]], *, timeout_s: float = 10
) -> dict[str, dict[int, int]]:
    """How many messages lie beyond `positions` (topic -> partition -> next offset to read), per partition.

    A partition without a position counts from its first message that is still held.

    Raises:
        BusError: the broker cannot be reached.
    """
    held = offsets(settings, positions, timeout_s=timeout_s)
    return {
        topic: {
            number: max(0, kept.stop - max(kept.start, positions[topic].get(number, kept.start)))
            for number, kept in numbers.items()
        }
        for topic, numbers in held.items()
    }


def tail(
    settings: Settings,
    topic: str,
    count: int | None = 10,
    *,
    follow: bool = False,
    timeout_s: float = 10,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """The last `count` messages of a topic (None: all that are held), oldest first; with `follow` then new ones.

    Raises:
        BusError: the broker cannot be reached, or the topic does not exist.
    """
    held = offsets(settings, [topic], timeout_s=timeout_s).get(topic)
    if held is None:
        raise BusError(f"topic {topic} does not exist; `cryptoviz topics list` shows those that do")
    wanted = {number: kept if count is None else kept[-count:] for number, kept in held.items()}
    with consumer(settings, timeout_s) as reader:
        reader.assign([TopicPartition(topic, number) for number in wanted])
        for number, kept in wanted.items():
            reader.seek(TopicPartition(topic, number), kept.start)
        old, new = _read(reader, wanted, timeout_s)
        old.sort(key=lambda message: message.timestamp)
        yield from old if count is None else old[-count:]
        yield from new
        while follow and not stop():
            yield from _poll(reader)


def _read(reader: KafkaConsumer, wanted: Mapping[int, range], timeout_s: float) -> tuple[list[Message], list[Message]]:
    """The messages of these offsets, and those beyond that came with them."""
    old: list[Message] = []
    new: list[Message] = []
    unread = {number for number, kept in wanted.items() if kept}
    deadline = time.monotonic() + timeout_s
    while unread:
        messages = _poll(reader)
        if messages:
            deadline = time.monotonic() + timeout_s
        elif time.monotonic() > deadline:
            raise BusError(f"the broker sent nothing more for {timeout_s:g} s")
        for message in messages:
            stop = wanted[message.partition].stop
            (old if message.offset < stop else new).append(message)
            if message.offset >= stop - 1:
                unread.discard(message.partition)
    return old, new


def _poll(reader: KafkaConsumer) -> list[Message]:
    found = reader.poll(timeout_ms=FETCH_WAIT_MS, max_records=1000)
    return [_message(message) for messages in found.values() for message in messages]


def _message(message: Any) -> Message:
    return Message(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=datetime.fromtimestamp(message.timestamp / 1000, UTC),
        key=message.key,
        value=message.value or b"",
        headers=dict(message.headers),
    )
