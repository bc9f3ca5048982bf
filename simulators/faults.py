"""Faults on command: what goes wrong at an exchange, where, how often and for how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import msgspec


class Kind(StrEnum):
    """What can go wrong."""

    CUT = "cut"
    """Sockets end without a close frame (after what was written; `abort`: at once, losing what is in flight)."""
    SILENCE = "silence"
    """Sockets stay open and say nothing, about one pair or at all. Trades meanwhile exist over REST only."""
    SKIP = "skip"
    """Trades are missing on the sockets and exist over REST."""
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    MALFORMED = "malformed"
    """Broken frames are sent besides the right ones."""
    RATE_LIMIT = "rate_limit"
    """REST answers 429 with Retry-After (Kraken: its error in a 200)."""
    BAN = "ban"
    """REST answers 418 with Retry-After."""
    SERVER_ERROR = "server_error"
    """REST answers 503."""
    ERROR_BODY = "error_body"
    """REST answers with an error in the exchange's own shape; Kraken's comes with status 200."""
    HTML = "html"
    """REST answers 200 with a page for people."""
    MAINTENANCE = "maintenance"
    """Kraken: status maintenance on every socket and no trades; Binance: REST errors. Ends with its duration."""
    SHUTDOWN = "shutdown"
    """Binance: serverShutdown, then the sockets end after `grace_s`. Kraken: as cut."""


REST_KINDS = frozenset({Kind.RATE_LIMIT, Kind.BAN, Kind.SERVER_ERROR, Kind.ERROR_BODY, Kind.HTML, Kind.MAINTENANCE})
INSTANT_KINDS = frozenset({Kind.CUT, Kind.SHUTDOWN})


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault as ordered over HTTP. `pair`, `path`: only there; `count`: how many times; `duration_s`: how long."""

    exchange: str
    kind: Kind
    pair: str | None = None
    path: str | None = None
    probability: float = 1.0
    count: int | None = None
    duration_s: float | None = None
    retry_after_s: int = 1
    grace_s: float = 1.0
    abort: bool = False
    error: str | None = None


class Lack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a source does not have over REST of a pair, in seconds since the epoch: `since` <= start < `until`.

    `timeframe`: candles of that one only, such as 1m; empty: of each. `trades`: trades instead of candles.
    """

    exchange: str
    pair: str
    since: int
    until: int
    timeframe: str = ""
    trades: bool = False


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Since when an exchange has a pair over REST: a midnight in UTC, in seconds since the epoch."""

    exchange: str
    pair: str
    since: int


class Ordered(Protocol):
    """What every order says: how likely, how often, how long."""

    @property
    def probability(self) -> float: ...
    @property
    def count(self) -> int | None: ...
    @property
    def duration_s(self) -> float | None: ...


AnyOrder = TypeVar("AnyOrder", bound=Ordered)


@dataclass
class _Active(Generic[AnyOrder]):
    order: AnyOrder
    left: int | None
    until: float | None


class Orders(Generic[AnyOrder]):
    """The orders in force at one place."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible faults, not a secret
        self._active: list[_Active[AnyOrder]] = []

    def order(self, order: AnyOrder) -> None:
        """Let a fault begin."""
        until = None if order.duration_s is None else time.monotonic() + order.duration_s
        self._active.append(_Active(order, order.count, until))

    def clear(self) -> None:
        """End all faults."""
        self._active.clear()

    def listed(self) -> list[dict[str, Any]]:
        """The faults in force."""
        self._expire()
        return [msgspec.to_builtins(active.order) | {"left": active.left} for active in self._active]

    def _expire(self) -> None:
        now = time.monotonic()
        self._active = [
            active
            for active in self._active
            if (active.left is None or active.left > 0) and (active.until is None or active.until > now)
        ]

    def any(self) -> bool:
        """Whether anything is wrong at all."""
        if self._active:
            self._expire()
        return bool(self._active)

    def holds(self, fits: Callable[[AnyOrder], bool]) -> bool:
        """Whether an order that fits is in force."""
        self._expire()
        return any(fits(active.order) for active in self._active)

    def next(self, fits: Callable[[AnyOrder], bool]) -> AnyOrder | None:
        """The first order that fits and hits now, by its probability; it is used up by one."""
        self._expire()
        for active in self._active:
            if fits(active.order) and self._random.random() < active.order.probability:
                if active.left is not None:
                    active.left -= 1
                return active.order
        return None

    def choose(self, count: int) -> int:
        """A random number below `count`."""
        return self._random.randrange(count)


class Faults(Orders[Order]):
    """The faults in force at one exchange."""

    def standing(self, kind: Kind, pair: str | None = None) -> bool:
        """Whether a fault of this kind is in force for the pair (None: for all)."""
        return self.holds(lambda order: order.kind is kind and order.pair in {None, pair})

    def strikes(self, kind: Kind, pair: str | None = None, path: str = "") -> Order | None:
        """The fault of this kind that hits now, by its probability; it is used up by one."""
        return self.next(
            lambda order: (
                order.kind is kind and order.pair in {None, pair} and (order.path is None or order.path in path)
            )
        )
