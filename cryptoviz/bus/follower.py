"""What topics get, as soon as the broker has it: held until somebody who knows an exact range of offsets asks for it.

    follow(from here on) -> librdkafka fetches in threads of its own -> wait: is there anything? -> take(a range)

Nothing is decided here. A range is handed out whole, every offset of it once and in order, or not at all: then whoever
asked reads it in another way. No group is joined and no position kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cryptoviz.bus.hot_client import connection
from cryptoviz.bus.interface import Ends
from cryptoviz.logs import logger
from cryptoviz.settings import Settings

Raw = tuple[str, int, int, bytes | None, bytes | None]
"""Topic, partition, offset, key and value of a message."""

_ARRIVAL_S: Final = 0.2
_AT_ONCE: Final = 2000
_METADATA_S: Final = 1.0
_HOW: Final[Mapping[str, Any]] = {
    "group.id": "cryptoviz",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_uncommitted",  # as Spark reads
    "queued.max.messages.kbytes": 8192,
    "fetch.error.backoff.ms": 100,
}

_log = logger(__name__)


class Follower:
    """Reads ahead of a reader that knows where it stands.

    One thread at a time: librdkafka's binding hangs when a second one asks for the ends of partitions during `wait`.

    `most`: how many messages it holds; whoever is further behind than that had better read in bulk.
    """

    def __init__(self, settings: Settings, most: int) -> None:
        self._consumer = Consumer(
            {
                **connection(settings),
                **_HOW,
                "queued.min.messages": max(1, min(most, 10_000)),
                "error_cb": self._on_error,
            }
        )
        self._most = most
        self._next: dict[tuple[str, int], int] = {}
        self._held: dict[tuple[str, int], list[Raw]] = {}
        self._count = 0
        self._trusted = False

    @property
    def following(self) -> bool:
        """Whether messages are being held for whoever asks."""
        return self._trusted

    def follow(self, ends: Ends) -> None:
        """Hold the messages from `ends` on; what is followed already is gone on with."""
        wanted = {(topic, int(number)): end for topic, numbers in ends.items() for number, end in numbers.items()}
        if (
            self._trusted
            and wanted.keys() == self._next.keys()
            and all(self._next[place] >= end for place, end in wanted.items())
        ):
            self._cut({place: (end, end) for place, end in wanted.items()})
            return
        self.rest()
        self._next, self._held = wanted, {place: [] for place in wanted}
        try:
            self._consumer.assign([TopicPartition(*place, end) for place, end in wanted.items()])
        except KafkaException as error:
            _log.warning("not_followed", reason=str(error))
            return
        self._trusted = True

    def rest(self) -> None:
        """Read nothing, hold nothing, until `follow`."""
        if self._next:
            self._consumer.unassign()
        self._next, self._held, self._count, self._trusted = {}, {}, 0, False

    def wait(self, seconds: float, count: int = 1) -> bool:
        """Wait until `count` messages are held, or the broker is away, at most `seconds`; whether they are."""
        deadline = time.monotonic() + seconds
        self.gather()
        while self._trusted and self._count < count and (left := deadline - time.monotonic()) > 0:
            if (message := self._consumer.poll(left)) is not None:
                self._hold([message])
                self.gather()
        return self._count >= count

    def gather(self) -> None:
        """Hold what has been fetched so far."""
        while self._trusted and self._count <= self._most and (arrived := self._consumer.consume(_AT_ONCE, 0)):
            self._hold(arrived)

    def take(self, begins: Ends, ends: Ends) -> list[Raw] | None:
        """Exactly the messages from `begins` until before `ends`; None when they are not all here in a moment."""
        deadline = time.monotonic() + _ARRIVAL_S
        wanted = {
            (topic, int(number)): (begins.get(topic, {}).get(number, -1), end)
            for topic, numbers in ends.items()
            for number, end in numbers.items()
        }
        self.gather()
        while any(self._next.get(place, -1) < end for place, (_begin, end) in wanted.items()):
            left = deadline - time.monotonic()
            if not self._trusted or left <= 0 or self._count > self._most:
                return None
            if (message := self._consumer.poll(left)) is not None:
                self._hold([message])
            self.gather()
        if not self._trusted:
            return None
        return self._cut(wanted)

    def lag(self, ends: Ends) -> int | None:
        """How many messages the broker has beyond `ends`; None as long as that is not known."""
        behind = 0
        for topic, numbers in ends.items():
            for number, end in numbers.items():
                try:
                    _low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, int(number)), cached=True)
                except KafkaException:
                    return None
                if high < 0:
                    return None
                behind += max(high - end, 0)
        return behind

    def has_new_partitions(self) -> bool:
        """Whether a topic has more partitions than are followed; False while the broker does not answer."""
        known = Counter(topic for topic, _number in self._next)
        try:
            found = self._consumer.list_topics(timeout=_METADATA_S).topics
        except KafkaException:
            return False
        return any(topic in found and len(found[topic].partitions) > count for topic, count in known.items())

    def close(self) -> None:
        """Disconnect."""
        self._trusted = False
        self._consumer.close()

    def _cut(self, wanted: Mapping[tuple[str, int], tuple[int, int]]) -> list[Raw] | None:
        taken: list[Raw] = []
        for place, (begin, end) in wanted.items():
            held = self._held[place]
            first = held[0][2] if held else self._next[place]
            # What lies before the range was read by somebody else.
            begun, ended = max(begin - first, 0), max(end - first, 0)
            if begin < first and begin < end:
                self.rest()
                return None
            taken += held[begun:ended]
            self._held[place] = held[ended:]
            self._count -= min(ended, len(held))
        return taken

    def _hold(self, arrived: list[Any]) -> None:
        for message in arrived:
            error = message.error()
            place = (message.topic(), message.partition())
            offset = message.offset()
            if error is not None or self._next.get(place) != offset:
                # An offset that was left out (a transaction's mark, say) is for those who know what that means.
                self._distrust(str(error) if error is not None else f"offset {offset} of {place} is not the next")
                return
            self._held[place].append((*place, offset, message.key(), message.value()))
            self._next[place] = offset + 1
            self._count += 1

    def _distrust(self, reason: str) -> None:
        if self._trusted:
            _log.warning("followed_no_longer", reason=reason)
        self.rest()

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN or error.fatal():
            self._trusted = False
