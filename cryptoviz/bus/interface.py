"""The types of the bus that need no Kafka client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from cryptoviz.records import Record

Header = tuple[str, bytes]
Ends = Mapping[str, Mapping[str, int]]
"""Topic -> partition (as text) -> the offset after the last message that counts."""

OnLost = Callable[[str, str, Any, str], None]
"""Called with topic, key, the record (or raw bytes) and the reason when a message will not reach the broker."""

DEADLETTER: Final = "deadletter"
MAX_MESSAGE_BYTES: Final = 4_194_304
LONGEST_REASON: Final = 1000
"""Characters of the reason why a sender gave a message up."""


class BusError(Exception):
    """The broker did not answer or refused the request."""


class Bus(Protocol):
    """What collectors and pollers need of a bus: `Producer` over Kafka."""

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


def ignore_loss(_topic: str, _key: str, _record: Any, _reason: str) -> None:
    """The `OnLost` of callers that keep no record of lost messages."""


def dead_letter_headers(
    origin: str, error_class: str, error: str, *, partition: int | str = "", offset: int | str = ""
) -> list[Header]:
    """The headers of a message in ``deadletter``: where it was, and why it was refused.

    `origin` is its topic; of what never was in one ``ws:<exchange>`` or the like, without partition and offset.
    """
    values = {"topic": origin, "partition": partition, "offset": offset, "error_class": error_class, "error": error}
    return [(name, str(value).encode()) for name, value in values.items()]
