"""What a collector knows of one pair: its trade ids, when it was last heard, and the position that is being stored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from cryptoviz.collectors.gaps import Continuity
from cryptoviz.collectors.ledger import Position


@dataclass
class CollectedPair:
    """One pair of a collector. Instants are of the monotonic clock.

    `captured` is the position to store next, and the message that must be acknowledged before.
    """

    exchange: str
    name: str
    continuity: Continuity = field(init=False)
    key: str = field(init=False)
    traded_at: float = field(default_factory=time.monotonic)
    quoted_at: float = field(default_factory=time.monotonic)
    checked_at: float = field(default_factory=time.monotonic)
    silent_since: float = 0.0
    times_silent: int = 0
    captured: tuple[Position, int] | None = None

    def __post_init__(self) -> None:
        self.continuity = Continuity(self.exchange, self.name)
        self.key = f"{self.exchange}:{self.name}"

    def unchecked_for(self, now: float) -> float:
        """Seconds since a trade, or since REST was asked whether there was one."""
        return now - max(self.traded_at, self.checked_at)

    def quiet(self) -> None:
        """REST confirms that there was no trade."""
        self.times_silent = 0
        self.silent_since = 0.0

    def silent(self, now: float) -> int:
        """REST has a trade that the subscription did not bring; how often that happened in a row."""
        self.times_silent += 1
        if self.silent_since <= self.traded_at:
            self.silent_since = now
        return self.times_silent

    def position(self) -> Position | None:
        """Where the pair is now; None before its first trade."""
        at = self.continuity.position()
        return None if at is None else Position(self.name, *at)

    def ages(self, now: float) -> dict[str, float]:
        """Seconds since a trade, since a quote, since REST was asked, since it showed that the subscription is dead."""
        ages = {
            "age": now - self.traded_at,
            "quote_age": now - self.quoted_at,
            "asked_age": now - self.checked_at,
            # A trade since then proves that the subscription lives again.
            **({"deaf_for": now - self.silent_since} if self.silent_since > self.traded_at else {}),
        }
        return {name: round(age, 3) for name, age in ages.items()}
