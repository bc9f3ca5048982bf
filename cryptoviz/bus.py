"""The message bus: the only module that speaks to Kafka.

    record -> Producer.send -> (bounded buffer) -> broker -> acknowledged, or `on_lost` says which and why
    topics -> create_topics, offsets, lag, tail

kafka-python has no bound on what waits for the broker, and its constructor and first `send` block while the broker is
away. `Producer` adds both: it connects in the background and refuses, loudly, what exceeds its bound, so that the
caller can write down a gap and heal it later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.partitioner.default import murmur2

from cryptoviz.codec import encode, headers
from cryptoviz.logs import logger
from cryptoviz.records import Record
from cryptoviz.settings import Settings
from cryptoviz.topics import TOPICS, Topic

Header = tuple[str, bytes]
OnLost = Callable[[str, str, Any, str], None]
"""Called with topic, key, the record (or raw bytes) and the reason when a message will not reach the broker."""

DEADLETTER: Final = "deadletter"
_LINGER_MS: Final = 3
_BATCH_BYTES: Final = 131_072
_MAX_REQUEST_BYTES: Final = 4_194_304
_DELIVERY_TIMEOUT_MS: Final = 3_600_000
_RECONNECT_S: Final = (0.2, 5.0)

_log = logger(__name__)


class BusError(Exception):
    """The broker did not answer or refused; the message says what was asked of it."""


def _connection(settings: Settings) -> dict[str, Any]:
    """How to reach the cluster: secrets inside, never to be logged."""
    config: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "security_protocol": settings.kafka_security_protocol,
        "client_id": "cryptoviz",
    }
    if settings.kafka_ca_file is not None:
        config["ssl_cafile"] = str(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl_mechanism"] = settings.kafka_sasl_mechanism
        config["sasl_plain_username"] = settings.kafka_username
        config["sasl_plain_password"] = settings.kafka_password.get_secret_value()
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
        """Whether all messages up to `mark` are acknowledged or reported lost."""

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

    __slots__ = ("done", "headers", "key", "name", "partition", "sent", "topic", "waiting")

    def __init__(self, topic: str, name: str, fixed_headers: list[Header]) -> None:
        self.topic = topic
        self.name = name
        self.key = name.encode()
        self.headers = fixed_headers
        self.partition: int | None = None
        self.sent = 0
        self.done = 0
        self.waiting: deque[tuple[Any, Any]] = deque()


class Producer:
    """Sends records: idempotent, acknowledged by all replicas, lz4, in order per key, bounded.

    `on_lost` is called, in the caller's own thread, for every message that will not reach the broker: the bound of
    `limit` unacknowledged messages was exceeded, the broker refused it for good, or the producer was closed first.
    Not thread-safe: one thread sends and polls.
    """

    def __init__(self, settings: Settings, *, on_lost: OnLost | None = None, limit: int | None = None) -> None:
        self.sent = 0
        self.acked = 0
        self.lost = 0
        self._settings = settings
        self.on_lost = on_lost or _ignore
        self._limit = limit or settings.collector_buffer_messages
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._backlog: deque[tuple[_Lane, bytes, list[Header], Any]] = deque()
        self._in_flight = 0
        self._kafka: Any = None
        self._arrived: Any = None
        self._connector: threading.Thread | None = None
        self._closing = threading.Event()

    def start(self) -> None:
        """Connect in the background, for as long as it takes; messages wait in the buffer meanwhile."""
        if self._connector is None:
            self._connector = threading.Thread(target=self._connect, name="kafka-connect", daemon=True)
            self._connector.start()

    @property
    def pending(self) -> int:
        """Messages accepted but neither acknowledged nor lost."""
        return self._in_flight + len(self._backlog)

    def crowded(self, share: float) -> bool:
        """Whether more than this share of the buffer is in use."""
        return self.pending > self._limit * share

    @property
    def connected(self) -> bool:
        """Whether the broker has been reached since the start (it may be away at this moment)."""
        return self._kafka is not None or self._arrived is not None

    def send(self, topic: str, record: Record) -> None:
        """Send a record to its topic under its key."""
        definition = TOPICS[topic]
        name = definition.key(record) if definition.key is not None else ""
        lane = self._lanes.get((topic, name))
        if lane is None:
            lane = self._lane(topic, name, headers(definition, record))
        self._submit(lane, encode(record), lane.headers, record)

    def dead_letter(self, value: bytes, key: str, *, origin: str, error_class: str, error: str) -> None:
        """Send `value` to ``deadletter``, saying where it comes from and why it was refused."""
        lane = self._lanes.get((DEADLETTER, key)) or self._lane(DEADLETTER, key, [])
        self._submit(lane, value, dead_letter_headers(origin, error_class, error), value)

    def mark(self, topic: str, key: str) -> int:
        """How many messages of this topic and key were accepted so far."""
        lane = self._lanes.get((topic, key))
        return lane.sent if lane is not None else 0

    def settled(self, topic: str, key: str, mark: int) -> bool:
        """Whether all messages up to `mark` are acknowledged or were reported lost."""
        lane = self._lanes.get((topic, key))
        return mark == 0 or (lane is not None and lane.done >= mark)

    def poll(self) -> None:
        """Learn what the broker acknowledged since the last call, report losses, send what waited for a connection."""
        if self._kafka is None:
            self._adopt()
        if self._in_flight:
            for lane in self._lanes.values():
                if lane.waiting:
                    self._sweep(lane)

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is pending; False when `timeout` seconds were not enough."""
        deadline = time.monotonic() + timeout
        while True:
            self.poll()
            if not self.pending:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)

    def close(self, timeout: float = 10) -> None:
        """Flush for at most `timeout` seconds, then disconnect; what is still pending is reported lost."""
        self.flush(timeout)
        self._closing.set()
        if self._connector is not None:
            self._connector.join(timeout=1)
        kafka, self._kafka = self._kafka or self._arrived, None
        if kafka is not None:
            _quietly(partial(kafka.close, timeout=0 if self.pending else 5))
        for lane in self._lanes.values():
            self._sweep(lane)
            while lane.waiting:
                self._finish(lane, lane.waiting.popleft()[1], "the producer was closed before the broker answered")
        while self._backlog:
            lane, _value, _headers, record = self._backlog.popleft()
            self._drop(lane, record, "the broker was never reached")

    def _lane(self, topic: str, name: str, fixed_headers: list[Header]) -> _Lane:
        lane = self._lanes[topic, name] = _Lane(topic, name, fixed_headers)
        return lane

    def _submit(self, lane: _Lane, value: bytes, message_headers: list[Header], record: Any) -> None:
        lane.sent += 1
        self.sent += 1
        if self.pending >= self._limit:
            self.poll()
            if self.pending >= self._limit:
                self._drop(lane, record, f"{self._limit} messages already wait for the broker")
                return
        if self._kafka is None or self._backlog:
            self._backlog.append((lane, value, message_headers, record))
            self._adopt()
        else:
            self._hand_over(lane, value, message_headers, record)

    def _hand_over(self, lane: _Lane, value: bytes, message_headers: list[Header], record: Any) -> None:
        try:
            if lane.partition is None:
                lane.partition = self._partition(lane)
            future = self._kafka.send(
                lane.topic, value=value, key=lane.key, headers=message_headers, partition=lane.partition
            )
        except (KafkaError, ValueError) as error:
            lane.partition = None
            self._drop(lane, record, f"{type(error).__name__}: {error}")
            return
        self._in_flight += 1
        lane.waiting.append((future, record))

    def _partition(self, lane: _Lane) -> int:
        # Kafka's own hash, taken once per key: in pure Python it would cost more than the rest of the message.
        partitions = sorted(self._kafka.partitions_for(lane.topic))
        return int(partitions[(murmur2(lane.key) & 0x7FFFFFFF) % len(partitions)])

    def _sweep(self, lane: _Lane) -> None:
        waiting = lane.waiting
        while waiting and waiting[0][0].is_done:
            future, record = waiting.popleft()
            error = future.exception
            self._finish(lane, record, "" if error is None else f"{type(error).__name__}: {error}")

    def _finish(self, lane: _Lane, record: Any, failure: str) -> None:
        self._in_flight -= 1
        if failure:
            self._drop(lane, record, failure)
            return
        lane.done += 1
        self.acked += 1

    def _drop(self, lane: _Lane, record: Any, reason: str) -> None:
        self.lost += 1
        # Reported before it counts as settled: whoever waits for `settled` must already know of the loss.
        self.on_lost(lane.topic, lane.name, record, reason)
        lane.done += 1

    def _adopt(self) -> None:
        if self._arrived is None or self._kafka is not None:
            return
        self._kafka, self._arrived = self._arrived, None
        while self._backlog:
            self._hand_over(*self._backlog.popleft())

    def _connect(self) -> None:
        delay, longest = _RECONNECT_S
        while not self._closing.is_set():
            try:
                self._arrived = _kafka_producer(self._settings)
            except KafkaError as error:
                _log.warning("broker_away", error=type(error).__name__, retry_s=delay)
            else:
                return
            self._closing.wait(delay)
            delay = min(delay * 2, longest)


def _ignore(_topic: str, _key: str, _record: Any, _reason: str) -> None:
    return


def _quietly(close: Callable[[], None]) -> None:
    try:
        close()
    except KafkaError as error:
        _log.warning("close_failed", error=type(error).__name__)


def _kafka_producer(settings: Settings) -> Any:
    kafka = KafkaProducer(
        **_connection(settings),
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=_LINGER_MS,
        batch_size=_BATCH_BYTES,
        max_request_size=_MAX_REQUEST_BYTES,
        delivery_timeout_ms=_DELIVERY_TIMEOUT_MS,
        max_block_ms=2_000,
        bootstrap_timeout_ms=5_000,
        reconnect_backoff_max_ms=2_000,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )
    try:
        for topic in TOPICS:
            kafka.partitions_for(topic)
    except KafkaError:
        kafka.close(timeout=0)
        raise
    return kafka


def dead_letter_headers(origin: str, error_class: str, error: str) -> list[Header]:
    """The headers of a message in ``deadletter`` that never was in a topic (frames: origin ``ws:<exchange>``)."""
    values = {"topic": origin, "partition": "", "offset": "", "error_class": error_class, "error": error[:1000]}
    return [(name, value.encode()) for name, value in values.items()]


@dataclass
class MemoryProducer:
    """The twin of `Producer` for tests: keeps what was sent in memory.

    `online` False: nothing is acknowledged and the bound applies. `drop_pending` plays a crash of the broker's client.
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
        """Messages accepted but neither acknowledged nor lost."""
        return len(self._waiting)

    def crowded(self, share: float) -> bool:
        """Whether more than this share of the bound is in use."""
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
        self._marks[topic, key] = self._marks.get((topic, key), 0) + 1
        if len(self._waiting) >= self.limit:
            self._lose(topic, key, record, "full")
            return
        self._waiting.append((topic, key, record))

    def _lose(self, topic: str, key: str, record: Any, reason: str) -> None:
        self.lost += 1
        self.on_lost(topic, key, record, reason)
        self._done[topic, key] = self._done.get((topic, key), 0) + 1

    def mark(self, topic: str, key: str) -> int:
        """How many messages of this topic and key were accepted so far."""
        return self._marks.get((topic, key), 0)

    def settled(self, topic: str, key: str, mark: int) -> bool:
        """Whether all messages up to `mark` are acknowledged or were reported lost."""
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
    """Create the topics that are missing, and more partitions where more are asked for; returns what it changed.

    Safe to call again and by several processes at once. Partitions are never taken away: Kafka cannot.

    Raises:
        BusError: the broker cannot be reached or refuses.
    """
    with _Admin(settings, timeout_s) as admin:
        existing = {topic["name"]: topic for topic in admin.describe_topics()}
        missing = [topic for topic in TOPICS.values() if topic.name not in existing]
        for topic in missing:
            _create(admin, settings, topic)
        grow = {
            name: settings.kafka_partitions
            for name in TOPICS
            if name in existing and len(existing[name]["partitions"]) < settings.kafka_partitions
        }
        if grow:
            admin.create_partitions(grow)
        admin.wait_for_topics(list(TOPICS), timeout_ms=int(timeout_s * 1000))
        return [topic.name for topic in missing] + sorted(grow)


def _create(admin: Any, settings: Settings, topic: Topic) -> None:
    configs = {
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "min.insync.replicas": str(max(1, settings.kafka_replication - 1)),
        "max.message.bytes": str(_MAX_REQUEST_BYTES),
    }
    options = {
        "num_partitions": settings.kafka_partitions,
        "replication_factor": settings.kafka_replication,
        "configs": configs,
    }
    try:
        admin.create_topics({topic.name: options})
    except TopicAlreadyExistsError:
        return  # somebody else was faster


def list_topics(settings: Settings, *, timeout_s: float = 10) -> dict[str, int]:
    """Topic name -> number of partitions, for the topics of the platform that exist.

    Raises:
        BusError: the broker cannot be reached.
    """
    with _Admin(settings, timeout_s) as admin:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics() if topic["name"] in TOPICS}


def offsets(settings: Settings, topics: Iterable[str], *, timeout_s: float = 10) -> dict[str, dict[int, range]]:
    """Topic -> partition -> offsets held: ``range(first, next)``. Topics that do not exist are left out.

    Raises:
        BusError: the broker cannot be reached.
    """
    with _Consumer(settings, timeout_s) as consumer:
        partitions = [
            TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or ()
        ]
        first = consumer.beginning_offsets(partitions) if partitions else {}
        after = consumer.end_offsets(partitions) if partitions else {}
        held: dict[str, dict[int, range]] = {}
        for partition in sorted(partitions):
            held.setdefault(partition.topic, {})[partition.partition] = range(first[partition], after[partition])
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
    with _Consumer(settings, timeout_s) as consumer:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise BusError(f"topic {topic} does not exist; `cryptoviz topics list` shows those that do")
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        first, after = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for partition in partitions:
            start = first[partition] if count is None else max(first[partition], after[partition] - count)
            consumer.seek(partition, start)
        held = sorted(_until(consumer, partitions, after, timeout_s), key=lambda message: message.timestamp)
        yield from held if count is None else held[len(held) - min(count, len(held)) :]
        while follow and not stop():
            for messages in consumer.poll(timeout_ms=200).values():
                yield from map(_message, messages)


def _until(consumer: Any, partitions: list[Any], ends: Mapping[Any, int], timeout_s: float) -> Iterator[Message]:
    deadline = time.monotonic() + timeout_s
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        if time.monotonic() > deadline:
            raise BusError(f"the broker sent nothing more for {timeout_s:g} s")
        for partition, messages in consumer.poll(timeout_ms=200).items():
            deadline = time.monotonic() + timeout_s
            yield from (_message(message) for message in messages if message.offset < ends[partition])


def _message(message: Any) -> Message:
    return Message(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=datetime.fromtimestamp(message.timestamp / 1000, UTC),
        key=message.key,
        value=message.value if message.value is not None else b"",
        headers=dict(message.headers),
    )


class _Client:
    """Opens a Kafka client for one block and turns its errors into `BusError`."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._client: Any = None

    def _open(self) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        try:
            self._client = self._open()
        except KafkaError as error:
            raise BusError(self._explain(error)) from error
        return self._client

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._client is not None:
            _quietly(self._client.close)
        if isinstance(error, KafkaError):
            raise BusError(self._explain(error)) from error

    def _explain(self, error: KafkaError) -> str:
        return f"Kafka at {self._settings.bootstrap_servers}: {type(error).__name__}: {error}"


class _Admin(_Client):
    def _open(self) -> Any:
        return KafkaAdminClient(**_connection(self._settings), bootstrap_timeout_ms=int(self._timeout_s * 1000))


class _Consumer(_Client):
    def _open(self) -> Any:
        return KafkaConsumer(
            **_connection(self._settings),
            bootstrap_timeout_ms=int(self._timeout_s * 1000),
            enable_auto_commit=False,
            group_id=None,
            metrics_enabled=False,
        )
