"""The hot sender.

    record -> Producer.send -> (librdkafka's bounded queue) -> broker -> acknowledged, or `on_lost` says which and why

librdkafka connects, buffers, batches and retries in threads of its own; what it has to say waits until `poll`. What
exceeds the bound is refused, loudly, so that the caller can write down a gap and heal it later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import confluent_kafka
import msgspec
from confluent_kafka import KafkaError, KafkaException

from cryptoviz.bus.hot_client import connection
from cryptoviz.bus.interface import (
    DEADLETTER,
    LONGEST_REASON,
    MAX_MESSAGE_BYTES,
    Bus,
    Header,
    OnLost,
    dead_letter_headers,
    ignore_loss,
)
from cryptoviz.codec import decode, encode, headers
from cryptoviz.logs import logger
from cryptoviz.records import Record
from cryptoviz.settings import Settings
from cryptoviz.topics import TOPICS

_PURGE_S: Final = 5
_REOPEN_S: Final = 2
_NOT_YET: Final = frozenset(
    {KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART}
)
"""Errors of messages whose topic the broker does not know: a broker that has just started knows none."""

_PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 3,
    "partitioner": "murmur2_random",  # as in the Java client: a key stays on its partition, whichever client sends it
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "delivery.timeout.ms": 3_600_000,
    "allow.auto.create.topics": False,
    # More would keep a topic unknown for as long after a broker that had just started denied it once.
    "topic.metadata.propagation.max.ms": 0,
    "topic.metadata.refresh.interval.ms": 5000,
    "statistics.interval.ms": 1000,
}

_log = logger(__name__)


class _Lane:
    """The messages of one topic and key, which the broker keeps in order."""

    __slots__ = ("accepted", "done", "headers", "key", "name", "on_delivery", "resent", "topic")

    def __init__(self, topic: str, name: str, fixed_headers: list[Header]) -> None:
        self.topic = topic
        self.name = name
        self.key = name.encode()
        self.headers = fixed_headers
        self.accepted = 0
        self.done = 0
        self.resent = 0
        self.on_delivery: Callable[[KafkaError | None, Any], None]


class Producer(Bus):
    """Sends records: idempotent, acknowledged by all replicas, lz4, in order per key, bounded.

    A broker that starts may deny a topic that it has; what it denied is sent again, then maybe behind later messages of
    its key. Readers sort by what the records say, not by offset.

    `on_lost` is called, in the caller's own thread, for every message that will not reach the broker: the bound of
    `limit` unacknowledged messages was exceeded, the message was refused for good, librdkafka gave up for good (a
    successor takes over), or the producer was closed first. Not thread-safe: one thread sends and polls.
    """

    def __init__(self, settings: Settings, *, on_lost: OnLost | None = None, limit: int | None = None) -> None:
        self.sent = 0
        self.acked = 0
        self.lost = 0
        self.on_lost = on_lost or ignore_loss
        self._settings = settings
        self._limit = limit or settings.collector_buffer_messages
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._held: deque[tuple[_Lane, bytes, list[Header]]] = deque()
        self._kafka: confluent_kafka.Producer | None = None
        self._opened = 0.0
        self._fatal: KafkaError | None = None
        self._connected = False

    def start(self) -> None:
        """Connect in the background, for as long as it takes; messages wait in the queue meanwhile."""
        if self._kafka is not None:
            return
        self._opened = time.monotonic()
        self._kafka = confluent_kafka.Producer(
            {
                **connection(self._settings),
                **_PRODUCER,
                "queue.buffering.max.messages": self._limit,
                "stats_cb": self._on_statistics,
            }
        )

    @property
    def pending(self) -> int:
        return self.sent - self.acked - self.lost

    def crowded(self, share: float) -> bool:
        return self.pending > self._limit * share

    @property
    def connected(self) -> bool:
        """Whether the broker was connected when `poll` last learned of it, about once a second."""
        return self._connected

    def send(self, topic: str, record: Record) -> None:
        """Send a record to its topic under its key."""
        definition = TOPICS[topic]
        name = definition.key(record) if definition.key is not None else ""
        lane = self._lanes.get((topic, name)) or self._lane(topic, name, headers(definition, record))
        self._submit(lane, encode(record), lane.headers)

    def dead_letter(self, value: bytes, key: str, *, origin: str, error_class: str, error: str) -> None:
        """Send `value` to ``deadletter``, saying where it comes from and why it was refused."""
        lane = self._lanes.get((DEADLETTER, key)) or self._lane(DEADLETTER, key, [])
        self._submit(lane, value, dead_letter_headers(origin, error_class, error[:LONGEST_REASON]))

    def mark(self, topic: str, key: str) -> int:
        lane = self._lanes.get((topic, key))
        return lane.accepted if lane is not None else 0

    def settled(self, topic: str, key: str, mark: int) -> bool:
        lane = self._lanes.get((topic, key))
        # A message that is sent again comes after those in flight: it has arrived once all of them have.
        return mark == 0 or (lane is not None and lane.done >= max(mark, lane.resent))

    def poll(self) -> None:
        if self._kafka is not None:
            self._serve(self._kafka.poll, 0)
            self._retry()

    def flush(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        self.poll()
        while self.pending and self._kafka is not None and (left := deadline - time.monotonic()) > 0:
            self._serve(self._kafka.flush, min(left, 0.1))
            self._retry()
            if self._held:
                time.sleep(0.01)
        return not self.pending

    def close(self, timeout: float = 10) -> None:
        self.flush(timeout)
        self._abandon()
        while self._held:
            lane, value, _headers = self._held.popleft()
            self._lose(lane, value, "the producer was closed first")

    def _serve(self, call: Callable[[float], int], wait_s: float) -> None:
        try:
            call(wait_s)
        except KafkaException as error:  # raised only when librdkafka gives up for good
            self._fatal = error.args[0]
        # The pause keeps an error that comes back at once, like a missing permission, from being a busy loop.
        if self._fatal is not None and time.monotonic() > self._opened + _REOPEN_S:
            _log.error("producer_replaced", error=self._fatal.name(), reason=self._fatal.str(), pending=self.pending)
            self._abandon()
            self.start()

    def _abandon(self) -> None:
        """Disconnect; what librdkafka has not delivered is reported lost."""
        kafka, self._kafka, self._fatal, self._connected = self._kafka, None, None, False
        if kafka is not None:
            kafka.purge()
            deadline = time.monotonic() + _PURGE_S
            while len(kafka) and time.monotonic() < deadline:
                with suppress(KafkaException):  # the fatal error again; the reports come all the same
                    kafka.poll(0.1)
            kafka.close()

    def _lane(self, topic: str, name: str, fixed_headers: list[Header]) -> _Lane:
        lane = self._lanes[topic, name] = _Lane(topic, name, fixed_headers)
        lane.on_delivery = partial(self._on_delivery, lane, fixed_headers)
        return lane

    def _submit(self, lane: _Lane, value: bytes, message_headers: list[Header]) -> None:
        self.sent += 1
        if not self._held and self._produce(lane, value, message_headers):
            lane.accepted += 1
            return
        self.poll()  # makes room, and what was held before goes first
        if self.pending > self._limit:
            self._report(lane, value, f"{self._limit} messages already wait for the broker")
            return
        lane.accepted += 1
        self._held.append((lane, value, message_headers))
        self._retry()

    def _retry(self) -> None:
        while self._held and self._produce(*self._held[0]):
            self._held.popleft()

    def _produce(self, lane: _Lane, value: bytes, message_headers: Any) -> bool:
        """Hand a message over, or report it lost if it is refused for good; False when it is to be tried again."""
        if self._kafka is None:
            return False
        shared = message_headers is lane.headers
        on_delivery = lane.on_delivery if shared else partial(self._on_delivery, lane, message_headers)
        try:
            self._kafka.produce(lane.topic, value, lane.key, -1, on_delivery, None, 0, message_headers)
        except BufferError:
            return False
        except KafkaException as refusal:
            error: KafkaError = refusal.args[0]
            if error.code() in _NOT_YET or error.code() == KafkaError._FATAL:
                return False
            self._lose(lane, value, error.str())
        return True

    def _on_delivery(self, lane: _Lane, sent_headers: list[Header], error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.acked += 1
            lane.done += 1
        elif error.code() in _NOT_YET:
            lane.resent = lane.accepted
            self._held.append((lane, message.value(), sent_headers))
        else:
            self._lose(lane, message.value(), error.str())

    def _lose(self, lane: _Lane, value: bytes, reason: str) -> None:
        # Report first: a caller that waits for `settled` must know of the loss by then.
        self._report(lane, value, reason)
        lane.done += 1

    def _report(self, lane: _Lane, value: bytes, reason: str) -> None:
        self.lost += 1
        self.on_lost(lane.topic, lane.name, value if lane.topic == DEADLETTER else decode(lane.topic, value), reason)

    def _on_statistics(self, statistics: str) -> None:
        brokers = msgspec.json.decode(statistics)["brokers"].values()
        self._connected = any(broker["state"] == "UP" for broker in brokers)
