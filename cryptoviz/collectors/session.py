"""One exchange's WebSocket, kept alive: the part that all exchanges share.

    connect -> subscribe (acknowledged or refused per symbol) -> frames -> on_frame
            -> silence, cut, `ClosingSoon`, the exchange's lifetime -> one reconnect at a time, growing and jittered

A planned reconnect opens the new connection first and closes the old one when the new one delivers, so that nothing
is missed; what arrives twice is recognised by its trade id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from cryptoviz.exchanges.adapter import Exchange, Refused, Request, Subscribed
from cryptoviz.logs import logger
from cryptoviz.remote.backoff import Backoff

_ACK_S: Final = 10.0
_HANDOVER_S: Final = 10.0
_OVERLAP_S: Final = 1.0
_REFUSED_AGAIN_S: Final = 300.0
_MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
_MAX_QUEUE: Final = 4096
_UNREACHABLE: Final = (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed)

_log = logger(__name__)


class Subscription(StrEnum):
    """How far a subscription to one channel of one pair is."""

    REQUESTED = "requested"
    ACTIVE = "active"
    REFUSED = "refused"


@dataclass
class Subscriptions:
    """What was asked for and what became of it, per channel and pair. Pure."""

    state: dict[tuple[str, str], Subscription] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    _since: dict[tuple[str, str], float] = field(default_factory=dict)
    _by_request: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def requested(self, request: Request, now: float) -> None:
        """A request was sent."""
        if request.channels:
            self._by_request[request.number] = request.channels
        for key in request.channels:
            self._set(key, Subscription.REQUESTED, now)

    def accepted(self, event: Subscribed, now: float) -> None:
        """The exchange accepted one subscription, or all of a request."""
        for key in self._concerned(event.channel, event.pair, event.request):
            self._set(key, Subscription.ACTIVE, now)

    def refused(self, event: Refused, now: float) -> list[tuple[str, str]]:
        """The exchange refused; returns what that concerns, which may be nothing we know."""
        concerned = self._concerned(event.channel, event.pair, event.request)
        for key in concerned:
            self._set(key, Subscription.REFUSED, now)
            self.reasons[key] = event.reason
        return concerned

    def active(self, channels: Sequence[str], pairs: Sequence[str], now: float) -> None:
        """Subscriptions that need no acknowledgement."""
        for pair in pairs:
            for channel in channels:
                self._set((channel, pair), Subscription.ACTIVE, now)

    def waiting(self) -> int:
        """How many are neither acknowledged nor refused."""
        return sum(state is Subscription.REQUESTED for state in self.state.values())

    def overdue(self, now: float) -> list[str]:
        """Pairs to ask again: not answered in time, or refused some while ago."""
        limits = {Subscription.REQUESTED: _ACK_S, Subscription.REFUSED: _REFUSED_AGAIN_S}
        late = {
            pair
            for (channel, pair), state in self.state.items()
            if state in limits and now - self._since[channel, pair] >= limits[state]
        }
        return sorted(late)

    def _set(self, key: tuple[str, str], state: Subscription, now: float) -> None:
        self.state[key] = state
        self._since[key] = now
        if state is not Subscription.REFUSED:
            self.reasons.pop(key, None)

    def _concerned(self, channel: str, pair: str, request: int | None) -> list[tuple[str, str]]:
        if channel and pair:
            return [(channel, pair)] if (channel, pair) in self.state else []
        of_request = self._by_request.get(request or 0, ())
        return [key for key in of_request if (not pair or key[1] == pair) and (not channel or key[0] == channel)]


@dataclass(frozen=True)
class Pace:
    """How long a connection may be silent, in seconds, and how soon another one is opened."""

    silence_s: float
    reconnect: Backoff


class Connection:
    """One socket, from connecting to its end. `on_frame` says whether a frame shows that the feed is alive."""

    def __init__(self, number: int, exchange: Exchange, on_frame: Callable[[bytes, Connection], bool]) -> None:
        self.name = f"{exchange.name}.{number}"
        self.subscriptions = Subscriptions()
        self.frames = 0
        self.opened_at: float | None = None
        self.alive_at = time.monotonic()
        self.data_at = time.monotonic()
        self.delivered = asyncio.Event()
        self._exchange = exchange
        self._on_frame = on_frame
        self._socket: ClientConnection | None = None
        self._ended = False

    async def run(self, address: str, pace: Pace, on_sent: Callable[[str, str], None]) -> str:
        """Connect, subscribe and read until the end; returns why it ended."""
        try:
            async with connect(
                address,
                compression=None,
                max_size=_MAX_FRAME_BYTES,
                max_queue=_MAX_QUEUE,
                ping_interval=None,
                open_timeout=max(1.0, min(10.0, pace.silence_s)),
                close_timeout=1,
                user_agent_header="cryptoviz",
                proxy=None,
            ) as socket:
                return await self._serve(socket, pace, on_sent)
        except _UNREACHABLE as error:
            return f"{type(error).__name__}: {error}"

    async def _serve(self, socket: ClientConnection, pace: Pace, on_sent: Callable[[str, str], None]) -> str:
        self._socket = socket
        self.opened_at = self.alive_at = self.data_at = time.monotonic()
        side = [
            asyncio.create_task(self._ask(on_sent), name=f"{self.name} subscribe"),
            asyncio.create_task(self._watch(socket, pace), name=f"{self.name} watch"),
        ]
        try:
            return await self._read(socket)
        finally:
            for task in side:
                task.cancel()
            await asyncio.gather(*side, return_exceptions=True)

    async def _read(self, socket: ClientConnection) -> str:
        on_frame = self._on_frame
        try:
            while True:
                # Frames are handled here, without a task or a queue of our own for each of them.
                message = await socket.recv(decode=False)
                self.frames += 1
                if on_frame(message, self):
                    self.alive_at = time.monotonic()
        except ConnectionClosed as closed:
            return self._why or f"closed: {closed}"

    _why = ""

    async def _ask(self, on_sent: Callable[[str, str], None]) -> None:
        exchange = self._exchange
        now = time.monotonic()
        if exchange.traits.implicit:
            self.subscriptions.active(exchange.traits.channels, exchange.pairs, now)
        else:
            await self.send(exchange.subscribe(exchange.pairs), on_sent)
        while True:
            await asyncio.sleep(1)
            late = self.subscriptions.overdue(time.monotonic())
            if late:
                _log.warning("subscriptions_overdue", exchange=exchange.name, pairs=late)
                for pair in late:
                    await self.send(exchange.subscribe([pair]), on_sent)

    async def send(self, requests: Sequence[Request], on_sent: Callable[[str, str], None]) -> None:
        """Send requests at the pace that the exchange allows; does nothing on a connection that is not open."""
        for request in requests:
            if self._socket is None:
                return
            self.subscriptions.requested(request, time.monotonic())
            try:
                await self._socket.send(request.message)
            except ConnectionClosed:
                return
            on_sent(self.name, request.message)
            await asyncio.sleep(1 / self._exchange.traits.requests_per_s)

    async def _watch(self, socket: ClientConnection, pace: Pace) -> None:
        interval = pace.silence_s / 4
        while True:
            await asyncio.sleep(interval)
            silent = time.monotonic() - self.alive_at
            if silent >= pace.silence_s:
                self.close(f"no frame for {silent:.1f} s")
                return
            if silent >= interval:
                await self._ping(socket, interval)

    async def _ping(self, socket: ClientConnection, interval: float) -> None:
        try:
            if self._exchange.traits.ping:
                await socket.send(self._exchange.traits.ping)
            else:
                # An exchange without heartbeats answers pings of the protocol: that is its sign of life.
                async with asyncio.timeout(interval):
                    await (await socket.ping())
                self.alive_at = time.monotonic()
        except (ConnectionClosed, TimeoutError):
            return

    def close(self, reason: str) -> None:
        """End the connection, now."""
        self._why = self._why or reason
        if self._socket is not None:
            self._socket.transport.abort()


class Session:
    """Keeps one exchange connected until told to stop."""

    def __init__(
        self,
        exchange: Exchange,
        address: str,
        pace: Pace,
        *,
        on_frame: Callable[[bytes, Connection], bool],
        on_ready: Callable[[Connection], Awaitable[None]],
        on_sent: Callable[[str, str], None] = lambda _conn, _message: None,
        on_connect: Callable[[str, str], None] = lambda _conn, _address: None,
    ) -> None:
        self.connects = 0
        self.reconnects = 0
        self.planned = 0
        self.maintenance = False
        self.connection: Connection | None = None
        self.last_end = ""
        self._exchange = exchange
        self._address = address
        self._pace = pace
        self._on_frame = on_frame
        self._on_ready = on_ready
        self._on_sent = on_sent
        self._on_connect = on_connect
        self._rotate = asyncio.Event()

    def rotate(self) -> None:
        """Move to a new connection without missing anything; asking twice is the same as once."""
        self._rotate.set()

    def reconnect(self, reason: str) -> None:
        """Cut the connection; the session opens another one."""
        if self.connection is not None:
            self.connection.close(reason)

    async def resubscribe(self, pairs: Sequence[str]) -> None:
        """Ask again for what is collected of `pairs`."""
        if self.connection is not None:
            await self.connection.send(self._exchange.unsubscribe(pairs), self._on_sent)
            await self.connection.send(self._exchange.subscribe(pairs), self._on_sent)

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop`."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        backoff, attempt = self._pace.reconnect, 0
        try:
            while not stop.is_set():
                started = time.monotonic()
                self.last_end = await self._live(stopping)
                if stop.is_set():
                    return
                self.reconnects += 1
                lived = time.monotonic() - started
                attempt = next_attempt(attempt, lived, backoff)
                wait = max(
                    backoff.seconds(attempt), self._exchange.traits.maintenance_delay_s if self.maintenance else 0
                )
                _log.warning("disconnected", exchange=self._exchange.name, reason=self.last_end, retry_s=round(wait, 2))
                await asyncio.wait({stopping}, timeout=wait)
        finally:
            stopping.cancel()

    async def _live(self, stopping: asyncio.Task[bool]) -> str:
        """One life: a connection and its planned successors, until the last of them ends by itself."""
        connection, reading = self._start()
        self.connection = connection
        try:
            while True:
                rotating = asyncio.create_task(self._rotation(), name="rotation")
                await asyncio.wait({reading, stopping, rotating}, return_when=asyncio.FIRST_COMPLETED)
                rotating.cancel()
                if stopping.done():
                    return "stopped"
                if reading.done():
                    return reading.result()
                self._rotate.clear()
                connection, reading = await self._hand_over(connection, reading, stopping)
                self.connection = connection
        finally:
            self.connection = None
            await _end(connection, reading)

    async def _rotation(self) -> None:
        lifetime = self._exchange.traits.lifetime_s
        try:
            async with asyncio.timeout(lifetime):
                await self._rotate.wait()
        except TimeoutError:
            return

    def _start(self) -> tuple[Connection, asyncio.Task[str]]:
        self.connects += 1
        connection = Connection(self.connects, self._exchange, self._on_frame)
        self._on_connect(connection.name, self._address)
        return connection, asyncio.create_task(self._read(connection), name=connection.name)

    async def _read(self, connection: Connection) -> str:
        ready = asyncio.create_task(self._announce(connection), name=f"{connection.name} ready")
        try:
            return await connection.run(self._address, self._pace, self._on_sent)
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)

    async def _announce(self, connection: Connection) -> None:
        await connection.delivered.wait()
        await self._on_ready(connection)

    async def _hand_over(
        self, old: Connection, reading: asyncio.Task[str], stopping: asyncio.Task[bool]
    ) -> tuple[Connection, asyncio.Task[str]]:
        """Open a successor; the old connection is closed once the new one delivers, and kept when it does not."""
        new, new_reading = self._start()
        delivered = asyncio.create_task(new.delivered.wait(), name=f"{new.name} delivered")
        await asyncio.wait({delivered, new_reading, stopping}, timeout=_HANDOVER_S, return_when=asyncio.FIRST_COMPLETED)
        delivered.cancel()
        if new.delivered.is_set() or reading.done():
            self.planned += 1
            # What is still on its way on the old connection was sent before the new one was subscribed.
            await asyncio.wait({reading, stopping}, timeout=_OVERLAP_S, return_when=asyncio.FIRST_COMPLETED)
            await _end(old, reading)
            return new, new_reading
        await _end(new, new_reading)
        return old, reading


async def _end(connection: Connection, reading: asyncio.Task[str]) -> None:
    connection.close("replaced or stopped")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def next_attempt(attempt: int, lived: float, backoff: Backoff) -> int:
    """The number of the next attempt to connect, from 1: grows while connections die young, falls back once one lived
    a while.
    """
    if lived > max(backoff.bound(attempt) * 4, backoff.first_s * 10):
        return 1
    return attempt + 1
