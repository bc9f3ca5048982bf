"""The twin of the producer: what is sent stays in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from cryptoviz.bus.interface import DEADLETTER, LONGEST_REASON, Bus, OnLost, dead_letter_headers, ignore_loss
from cryptoviz.codec import encode
from cryptoviz.records import Record
from cryptoviz.topics import TOPICS, Topic


@dataclass
class MemoryProducer(Bus):
    """Keeps what was sent in memory.

    `online` False: nothing is acknowledged and the bound applies. `fail_pending` plays a client that gives up.
    """

    on_lost: OnLost = ignore_loss
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
        self.dead.append((value, key, dict(dead_letter_headers(origin, error_class, error[:LONGEST_REASON]))))
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

    def flush(self, timeout: float) -> bool:
        """Acknowledge everything, if online."""
        self.poll()
        return not self._waiting

    def close(self, timeout: float = 10) -> None:
        """Acknowledge everything, or report it lost."""
        if not self.flush(timeout):
            self.fail_pending("closed")
