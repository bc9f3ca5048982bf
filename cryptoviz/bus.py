"""The message bus: the only module that speaks to Kafka.

    record -> Producer.send -> (librdkafka's bounded queue) -> broker -> acknowledged, or `on_lost` says which and why
    topics -> create_topics, offsets, lag, tail

librdkafka connects, buffers, batches and retries in threads of its own; what it has to say waits until `poll`. What
exceeds the bound is refused, loudly, so that the caller can write down a gap and heal it later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

import confluent_kafka
import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
)
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from cryptoviz.codec import decode, encode, headers
from cryptoviz.logs import logger
from cryptoviz.records import Record
from cryptoviz.settings import Settings
from cryptoviz.topics import TOPICS, Topic

Header = tuple[str, bytes]
OnLost = Callable[[str, str, Any, str], None]
"""Called with topic, key, the record (or raw bytes) and the reason when a message will not reach the broker."""

DEADLETTER: Final = "deadletter"
_MAX_MESSAGE_BYTES: Final = 4_194_304
_FORBIDDEN: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})
_PURGE_S: Final = 5
_REOPEN_S: Final = 2
_QUIET_S: Final = 30
_NOT_YET: Final = frozenset(
    {KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART}
)
"""How librdkafka fails messages for topics that a broker denies, as one does that has just started."""

_PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 3,
    "partitioner": "murmur2_random",  # the Java client's: a key stays on its partition whoever sends it
    "message.max.bytes": _MAX_MESSAGE_BYTES,
    "delivery.timeout.ms": 3_600_000,
    "allow.auto.create.topics": False,
    # More would keep a topic unknown for as long after a broker that had just started denied it once.
    "topic.metadata.propagation.max.ms": 0,
    "topic.metadata.refresh.interval.ms": 5000,
    "statistics.interval.ms": 1000,
}

_log = logger(__name__)


class BusError(Exception):
    """The broker did not answer or refused; the message says what was asked of it."""


class _LogLines:
    """librdkafka's own log lines as events of ours; while the broker is away it says so at every attempt."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def log(self, level: int, _format: str, facility: str, _client: str, line: str) -> None:
        """Called by librdkafka's binding, from within `poll`, as a `logging.Logger` would be."""
        now = time.monotonic()
        if now >= self._quiet_until.get(facility, 0):
            self._quiet_until[facility] = now + _QUIET_S
            _log.log(level, "librdkafka", facility=facility, line=line)


def _connection(settings: Settings) -> dict[str, Any]:
    """How to reach the cluster: secrets inside, never to be logged."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "cryptoviz",
        "logger": _LogLines(),
        # A broker that comes back is found within seconds.
        "reconnect.backoff.max.ms": 2000,
        "socket.connection.setup.timeout.ms": 5000,
    }
    if settings.kafka_ca_file is not None:
        config["ssl.ca.location"] = str(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_username
        config["sasl.password"] = settings.kafka_password.get_secret_value()
    return config


class Bus(Protocol):
    """What collectors and pollers need of a bus: `Producer` over Kafka, `MemoryProducer` in tests."""

    sent: int
    acked: int
    lost: int

    def start(self) -> None:
        """Begin to connect."""

    def send(self, topic: str, record: Record) -> None:
        """Send a record; what becomes of it is known after later calls of `poll`."""

    def dead_letter(self, value: bytes, key: str, *, origin: str, error_class: str, error: str) -> None:
        """Send what could not be understood to the topic `deadletter`."""

    def mark(self, topic: str, key: str) -> int:
        """How many messages of this topic and key were accepted so far."""

    def settled(self, topic: str, key: str, mark: int) -> bool:
        """Whether all messages up to `mark` are acknowledged or were reported lost."""

    @property
    def pending(self) -> int:
        """Messages accepted but neither acknowledged nor lost."""

    def crowded(self, share: float) -> bool:
        """Whether more than this share of the buffer is in use."""

    @property
    def connected(self) -> bool:
        """Whether the broker has been reached."""

    def poll(self) -> None:
        """Learn what the broker acknowledged; reports losses. Call it every few milliseconds to seconds."""

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is pending; False when `timeout` seconds were not enough."""

    def close(self, timeout: float) -> None:
        """Flush, then disconnect; what is still pending is reported lost."""


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
        self.on_lost = on_lost or _ignore
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
                **_connection(self._settings),
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
        self._submit(lane, value, dead_letter_headers(origin, error_class, error))

    def mark(self, topic: str, key: str) -> int:
        lane = self._lanes.get((topic, key))
        return lane.accepted if lane is not None else 0

    def settled(self, topic: str, key: str, mark: int) -> bool:
        lane = self._lanes.get((topic, key))
        # A message that is sent again follows those that were under way with it: only all of them tell it is there.
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
        # Reported before it counts as settled: whoever waits for `settled` must already know of the loss.
        self._report(lane, value, reason)
        lane.done += 1

    def _report(self, lane: _Lane, value: bytes, reason: str) -> None:
        self.lost += 1
        self.on_lost(lane.topic, lane.name, value if lane.topic == DEADLETTER else decode(lane.topic, value), reason)

    def _on_statistics(self, statistics: str) -> None:
        brokers = msgspec.json.decode(statistics)["brokers"].values()
        self._connected = any(broker["state"] == "UP" for broker in brokers)


def _ignore(_topic: str, _key: str, _record: Any, _reason: str) -> None:
    return


def dead_letter_headers(origin: str, error_class: str, error: str) -> list[Header]:
    """The headers of a message in ``deadletter`` that never was in a topic (frames: origin ``ws:<exchange>``)."""
    values = {"topic": origin, "partition": "", "offset": "", "error_class": error_class, "error": error[:1000]}
    return [(name, value.encode()) for name, value in values.items()]


@dataclass
class MemoryProducer(Bus):
    """The twin of `Producer` for tests: keeps what was sent in memory.

    `online` False: nothing is acknowledged and the bound applies. `fail_pending` plays a client that gives up.
    """

    on_lost: OnLost = _ignore
    limit: int = 200_000
    online: bool = True
    sent: int = 0
    acked: int = 0
    lost: int = 0
    records: list[tuple[str, str, Any]] = field(default_factory=list)
    dead: list[tuple[bytes, str, dict[str, bytes]]] = field(default_factory=list)
    _waiting: deque[tuple[str, str, Any]] = field(default_factory=deque)
    _marks: dict[tuple[str, str], int] = field(default_factory=dict)
    _done: dict[tuple[str, str], int] = field(default_factory=dict)

    def start(self) -> None:
        """Nothing to connect to."""

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def crowded(self, share: float) -> bool:
        return len(self._waiting) > self.limit * share

    @property
    def connected(self) -> bool:
        """Whether it acknowledges."""
        return self.online

    def of(self, topic: str) -> list[Any]:
        """The acknowledged records of a topic, in order."""
        return [record for name, _key, record in self.records if name == topic]

    def send(self, topic: str, record: Record) -> None:
        """Accept a record, after a round trip through its wire format."""
        definition: Topic = TOPICS[topic]
        name = definition.key(record) if definition.key is not None else ""
        encode(record)
        self._accept(topic, name, record)

    def dead_letter(self, value: bytes, key: str, *, origin: str, error_class: str, error: str) -> None:
        """Keep a dead letter in `dead`."""
        self.dead.append((value, key, dict(dead_letter_headers(origin, error_class, error))))
        self._accept(DEADLETTER, key, value)

    def _accept(self, topic: str, key: str, record: Any) -> None:
        self.sent += 1
        if len(self._waiting) >= self.limit:
            self.lost += 1
            self.on_lost(topic, key, record, "full")
            return
        self._marks[topic, key] = self._marks.get((topic, key), 0) + 1
        self._waiting.append((topic, key, record))

    def _lose(self, topic: str, key: str, record: Any, reason: str) -> None:
        self.lost += 1
        self.on_lost(topic, key, record, reason)
        self._done[topic, key] = self._done.get((topic, key), 0) + 1

    def mark(self, topic: str, key: str) -> int:
        return self._marks.get((topic, key), 0)

    def settled(self, topic: str, key: str, mark: int) -> bool:
        return self._done.get((topic, key), 0) >= mark

    def poll(self) -> None:
        """Acknowledge everything, if online."""
        while self.online and self._waiting:
            topic, key, record = self._waiting.popleft()
            self.records.append((topic, key, record))
            self._done[topic, key] = self._done.get((topic, key), 0) + 1
            self.acked += 1

    def fail_pending(self, reason: str = "failed") -> None:
        """Report everything pending as lost."""
        while self._waiting:
            self._lose(*self._waiting.popleft(), reason)

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - the twin never has to wait
        """Acknowledge everything, if online."""
        self.poll()
        return not self._waiting

    def close(self, timeout: float = 10) -> None:
        """Acknowledge everything, or report it lost."""
        if not self.flush(timeout):
            self.fail_pending("closed")


@dataclass(frozen=True)
class Message:
    """One message as a consumer sees it; `timestamp` is when the producer sent it (UTC)."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]


def create_topics(settings: Settings, *, timeout_s: float = 30) -> list[str]:
    """Create the topics that are missing, more partitions where more are asked for, and set what nobody has set.

    A broker that makes topics by itself, when somebody asks for one, gives them its own defaults: those are replaced by
    ours, while what an administrator has set for a topic stays. Returns the topics that it changed. Safe to call again
    and by several processes at once. Partitions are never taken away: Kafka cannot.

    Raises:
        BusError: the broker cannot be reached or refuses.
    """
    deadline = time.monotonic() + timeout_s
    with _admin(settings) as admin:
        existing = _partitions(admin, timeout_s)
        missing = [topic for topic in TOPICS.values() if topic.name not in existing]
        if missing:
            created = admin.create_topics([_new(settings, topic) for topic in missing], request_timeout=timeout_s)
            _unless(KafkaError.TOPIC_ALREADY_EXISTS, created)
        small = [name for name in TOPICS if existing.get(name, settings.kafka_partitions) < settings.kafka_partitions]
        if small:
            more = [NewPartitions(name, settings.kafka_partitions) for name in small]
            _unless(KafkaError.INVALID_PARTITIONS, admin.create_partitions(more, request_timeout=timeout_s))
        while any(_partitions(admin, timeout_s).get(name, 0) < settings.kafka_partitions for name in TOPICS):
            if time.monotonic() > deadline:
                raise BusError(f"Kafka at {settings.bootstrap_servers}: the topics did not appear in {timeout_s:g} s")
            time.sleep(0.05)
        unset = _set_what_nobody_set(admin, settings, [name for name in TOPICS if name in existing], timeout_s)
        return [topic.name for topic in missing] + sorted({*small, *unset})


def _new(settings: Settings, topic: Topic) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=settings.kafka_partitions,
        replication_factor=settings.kafka_replication,
        config=_topic_settings(settings, topic),
    )


def _topic_settings(settings: Settings, topic: Topic) -> dict[str, str]:
    """What the platform relies on, whatever the broker's defaults are."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "retention.bytes": "-1",
        "min.insync.replicas": str(max(1, settings.kafka_replication - 1)),
        "max.message.bytes": str(_MAX_MESSAGE_BYTES),
        "message.timestamp.type": "CreateTime",
    }


def _set_what_nobody_set(admin: AdminClient, settings: Settings, names: list[str], timeout_s: float) -> list[str]:
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    if not resources:
        return []
    wanted = {}
    try:
        for resource, found in admin.describe_configs(resources, request_timeout=timeout_s).items():
            now, ours = found.result(), _topic_settings(settings, TOPICS[resource.name])
            own = {name for name, entry in now.items() if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value}
            if lacking := {name: value for name, value in ours.items() if name not in own}:
                wanted[resource.name] = lacking
        _unless(None, admin.incremental_alter_configs(_changes(wanted), request_timeout=timeout_s) if wanted else {})
    except KafkaException as error:
        if error.args[0].code() not in _FORBIDDEN:
            raise
        _log.warning("topics_keep_their_settings", reason=error.args[0].str())
        return []
    return list(wanted)


def _changes(wanted: Mapping[str, Mapping[str, str]]) -> list[ConfigResource]:
    return [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()
            ],
        )
        for topic, values in wanted.items()
    ]


def _unless(faster: int | None, results: Mapping[Any, Future[None]]) -> None:
    """Wait for the results; an error of the code `faster` means that somebody else did the same just before."""
    for result in results.values():
        try:
            result.result()
        except KafkaException as error:
            if error.args[0].code() != faster:
                raise


def _partitions(admin: AdminClient, timeout_s: float) -> dict[str, int]:
    """Topic -> partitions that have a leader, of every topic of the cluster."""
    return {
        name: sum(partition.leader >= 0 for partition in topic.partitions.values())
        for name, topic in admin.list_topics(timeout=timeout_s).topics.items()
    }


def list_topics(settings: Settings, *, timeout_s: float = 10) -> dict[str, int]:
    """Topic -> number of partitions, of those of our topics that exist.

    Raises:
        BusError: the broker cannot be reached.
    """
    with _admin(settings) as admin:
        found = admin.list_topics(timeout=timeout_s).topics
        return {name: len(topic.partitions) for name, topic in found.items() if name in TOPICS}


def offsets(settings: Settings, topics: Iterable[str], *, timeout_s: float = 10) -> dict[str, dict[int, range]]:
    """Topic -> partition -> offsets held: ``range(first, next)``. Topics that do not exist are left out.

    Raises:
        BusError: the broker cannot be reached.
    """
    with _consumer(settings) as consumer:
        return _offsets(consumer, topics, timeout_s)


def _offsets(consumer: Consumer, topics: Iterable[str], timeout_s: float) -> dict[str, dict[int, range]]:
    wanted = list(topics)
    # A broker that has just made a topic, or has just started, does not lead its partitions for a moment.
    patiently = Retrying(
        retry=retry_if_exception(_leaderless), stop=stop_after_delay(timeout_s), wait=wait_fixed(0.05), reraise=True
    )
    return patiently(_offsets_now, consumer, wanted, timeout_s)


def _leaderless(error: BaseException) -> bool:
    codes = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
    return isinstance(error, KafkaException) and error.args[0].code() in codes


def _offsets_now(consumer: Consumer, topics: Iterable[str], timeout_s: float) -> dict[str, dict[int, range]]:
    found = consumer.list_topics(timeout=timeout_s).topics
    return {
        topic: {
            number: range(*consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s))
            for number in sorted(found[topic].partitions)
        }
        for topic in topics
        if topic in found
    }


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
            for number, kept in partitions.items()
        }
        for topic, partitions in held.items()
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
    with _consumer(settings) as consumer:
        held = _offsets(consumer, [topic], timeout_s).get(topic)
        if held is None:
            raise BusError(f"topic {topic} does not exist; `cryptoviz topics list` shows those that do")
        wanted = {number: kept if count is None else kept[-count:] for number, kept in held.items()}
        consumer.assign([TopicPartition(topic, number, kept.start) for number, kept in wanted.items()])
        old, new = _read(consumer, wanted, timeout_s)
        old.sort(key=lambda message: message.timestamp)
        yield from old if count is None else old[-count:]
        yield from new
        while follow and not stop():
            yield from _consume(consumer)


def _read(consumer: Consumer, wanted: Mapping[int, range], timeout_s: float) -> tuple[list[Message], list[Message]]:
    """The messages of these offsets, and those beyond that came with them."""
    old: list[Message] = []
    new: list[Message] = []
    unread = {number for number, kept in wanted.items() if kept}
    deadline = time.monotonic() + timeout_s
    while unread:
        messages = _consume(consumer)
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


def _consume(consumer: Consumer) -> list[Message]:
    messages = consumer.consume(1000, timeout=0.2)
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return [_message(message) for message in messages]


def _message(message: Any) -> Message:
    return Message(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp=datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        key=message.key(),
        value=message.value() or b"",
        headers=dict(message.headers() or ()),
    )


@contextmanager
def _consumer(settings: Settings) -> Iterator[Consumer]:
    """A reader of assigned partitions: no group is joined and no position kept."""
    how = {"group.id": "cryptoviz", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    with _explained(settings), Consumer({**_connection(settings), **how}) as consumer:
        yield consumer


@contextmanager
def _admin(settings: Settings) -> Iterator[AdminClient]:
    with _explained(settings), AdminClient(_connection(settings)) as admin:
        yield admin


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Turn Kafka's errors into `BusError`."""
    try:
        yield
    except KafkaException as error:
        kafka: KafkaError = error.args[0]
        raise BusError(f"Kafka at {settings.bootstrap_servers}: {kafka.name()}: {kafka.str()}") from error
