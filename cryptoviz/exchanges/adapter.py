"""What a collector needs to know of an exchange, in the words that all exchanges share.

frame -> Exchange.parse -> records, or one event about the connection
gap   -> Exchange.trades -> the missing trades, page by page, over REST
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, Protocol

import msgspec

from cryptoviz.records import Record, Trade
from cryptoviz.remote.rest import RestClient

BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are not what they should be: text that is no UTF-8 and endless nesting included."""

TradeId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@dataclass(frozen=True)
class Ignored:
    """A frame that carries nothing for us, and why."""

    reason: str


@dataclass(frozen=True)
class Heartbeat:
    """The exchange is alive and has nothing to say."""


@dataclass(frozen=True)
class Pong:
    """The socket is alive; whether the subscriptions are, it does not say."""


@dataclass(frozen=True)
class Subscribed:
    """The exchange accepted a subscription; `request` where it answers by request number instead of by symbol."""

    channel: str = ""
    pair: str = ""
    request: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The exchange refused a subscription; other symbols are not concerned."""

    reason: str
    channel: str = ""
    pair: str = ""
    request: int | None = None


@dataclass(frozen=True)
class SystemStatus:
    """The exchange said how it is: ``online``, ``maintenance``, ``cancel_only``, ``post_only`` or something new."""

    status: str


@dataclass(frozen=True)
class ClosingSoon:
    """The exchange will close this connection: open another one now."""


@dataclass(frozen=True)
class InstrumentStatus:
    """The trading status of pairs, as the exchange announces it."""

    statuses: dict[str, str]


@dataclass(frozen=True)
class UnknownPair:
    """Data of a pair that is not configured, in the exchange's own spelling."""

    name: str


Event = UnknownPair | Ignored | Heartbeat | Pong | Subscribed | Refused | SystemStatus | ClosingSoon | InstrumentStatus


class FrameError(ValueError):
    """A frame that is not what the exchange documents. `kind` is ``undecodable``, ``invalid`` or ``unknown_frame``.

    `records` are the sound ones of a frame of which only a part is bad.
    """

    def __init__(self, kind: str, reason: str, records: Sequence[Record] = ()) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.records = list(records)


class UnknownPairError(ValueError):
    """The exchange's REST interface does not know a pair."""


@dataclass(frozen=True)
class Request:
    """One message to send, and the subscriptions (channel, pair) that it asks for."""

    message: str
    channels: tuple[tuple[str, str], ...] = ()
    number: int = 0


@dataclass
class Traits:
    """How an exchange's connection behaves.

    `heartbeats`: it sends frames even when nothing happens, so that silence means a dead socket.
    `implicit`: subscriptions are part of the address and are not acknowledged.
    `lifetime_s`: it cuts every connection after this long. `requests_per_s`: what we may send.
    `snapshot_trades`: a new subscription begins with the latest trades.
    """

    heartbeats: bool
    implicit: bool = False
    lifetime_s: float | None = None
    requests_per_s: float = 20
    maintenance_delay_s: float = 0
    snapshot_trades: bool = False
    ping: str = ""
    channels: tuple[str, ...] = field(default=())


class Exchange(Protocol):
    """One exchange: its spelling, its messages, its REST pages."""

    name: str
    pairs: list[str]
    traits: Traits

    def address(self, base: str) -> str:
        """The address to connect to."""

    def subscribe(self, pairs: Sequence[str]) -> list[Request]:
        """The messages that subscribe to everything collected of `pairs`."""

    def unsubscribe(self, pairs: Sequence[str]) -> list[Request]:
        """The messages that end what `subscribe` asked for."""

    def parse(self, frame: bytes, received_at: datetime) -> list[Record] | Event:
        """The records in a frame, or what it says about the connection.

        Raises:
            FrameError: the frame is not what the exchange documents.
        """

    async def newest(self, rest: RestClient, pair: str) -> Trade | None:
        """The newest trade according to REST; None when there is none.

        Raises:
            UnknownPairError: the exchange does not know the pair.
            RemoteError: no answer after all retries.
        """

    def trades(
        self, rest: RestClient, pair: str, first_id: int, last_id: int, since: datetime
    ) -> AsyncIterator[list[Trade]]:
        """The trades `first_id` to `last_id` that the exchange still has, oldest first, in pages (maybe with others).

        `since` is a moment at or (for exchanges that page by time) not long after the first of them.
        """
