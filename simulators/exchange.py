"""What simulated exchanges share: a clock, sockets, the live flow with its faults, counters, REST answers.

series -> Feed (what happened since the last tick) -> faults -> frames -> sockets
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from cryptoviz.logs import logger
from simulators.counters import PairCounters, RequestLog
from simulators.faults import INSTANT_KINDS, REST_KINDS, Faults, Kind, Lack, Listing, Order
from simulators.feed import Feed, Row
from simulators.market import simulate
from simulators.replay import Replay, read_kraken_trades
from simulators.session import Session
from simulators.trades import DAY, MINUTE, SECOND, Bar, Spec

_log = logger(__name__)

TICK_S: Final = 0.005
"""How often the flow looks for new trades: a trade waits half of it on average."""

_SLOW_MINUTES: Final = 360
_OK: Final = 200
_REFUSED: Final = b'{"error":["'


class Exchange(ABC):
    """One simulated exchange. Subclasses speak its protocol; this class knows time, sockets and faults."""

    name: str
    rest_path: str

    def __init__(self, pairs: list[str], *, seed: int, rate: float) -> None:
        self.seed = seed
        self.rate = rate
        self.faults = Faults(seed)
        self.sessions: set[Session] = set()
        self.subscribers: defaultdict[tuple[str, str], set[Session]] = defaultdict(set)
        self.connects = 0
        self.requests = RequestLog()
        self.limit: int | None = None
        self._halted: int | None = None
        self._latest = 0
        self._tasks: set[asyncio.Task[None]] = set()
        now = self.clock()
        self.feeds = {
            pair: Feed(series, now)
            for pair, series in simulate([self.spec(pair) for pair in pairs], seed, rate).items()
        }

    @abstractmethod
    def spec(self, pair: str) -> Spec:
        """Tick and lot size of a pair."""

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The addresses of this exchange."""

    @abstractmethod
    async def greet(self, session: Session, request: web.Request) -> None:
        """What the exchange does when a socket opens."""

    @abstractmethod
    async def hear(self, session: Session, message: str) -> None:
        """What it does when a client says something."""

    @abstractmethod
    def publish(self, feed: Feed, rows: list[Row]) -> None:
        """Send new trades, and what follows from them, to who subscribed."""

    @abstractmethod
    def idle(self) -> None:
        """What happens on every tick without being caused by a trade."""

    @abstractmethod
    def fault_response(self, kind: Kind, order: Order) -> web.Response:
        """A REST answer of something gone wrong, in the words of this exchange."""

    @abstractmethod
    def broken_frame(self, feed: Feed, row: Row, variant: int) -> bytes:
        """A message about a trade that no client can use."""

    # Time

    def clock(self) -> int:
        """Nanoseconds since the epoch, never going back; it stands still while the market is halted."""
        if self._halted is None:
            self._latest = max(self._latest, time.time_ns())
        return self._latest

    def now(self, feed: Feed) -> int:
        """The market time of one pair."""
        return feed.replay.now if feed.replay else self.clock()

    def halt(self) -> dict[str, int]:
        """Halt the market: everything up to now is sent, then no trade happens, on sockets or over REST.

        Returns the last trade id of each pair.
        """
        self.clock()
        if self._halted is None:
            self._halted = self._latest
        self.flow()
        return {pair: feed.series.count_before(self.now(feed)) for pair, feed in self.feeds.items()}

    def resume(self) -> None:
        """Go on. What the series holds for the time of the halt appears late, on sockets and over REST: ids go on."""
        self._halted = None

    # Sockets

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until it ends."""
        socket = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        session = Session(socket, transport)
        self.sessions.add(session)
        self.connects += 1
        try:
            await self.greet(session, request)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self.hear(session, message.data)
                elif message.type is WSMsgType.PING:
                    await socket.pong(message.data)
        finally:
            self.forget(session)
        return socket

    def forget(self, session: Session) -> None:
        """A socket has ended."""
        self.sessions.discard(session)
        for sessions in self.subscribers.values():
            sessions.discard(session)

    def subscribe(self, session: Session, channel: str, pair: str) -> None:
        """Send the channel of a pair to this socket from now on."""
        feed = self.feeds[pair]
        if channel == "trade" and not self.subscribers[channel, pair] and self._halted is None:
            feed.skip_to(self.now(feed))
        self.subscribers[channel, pair].add(session)

    def unsubscribe(self, session: Session, channel: str, pair: str) -> bool:
        """Stop it; False when it was not subscribed."""
        sessions = self.subscribers[channel, pair]
        known = session in sessions
        sessions.discard(session)
        return known

    def listeners(self, channel: str, pair: str) -> list[Session]:
        """The sockets that subscribed and are open: what is not written to one was not sent."""
        return [session for session in self.subscribers[channel, pair] if not session.transport.is_closing()]

    # Flow

    async def run(self) -> None:
        """Send what happens, tick by tick, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.flow()
            self.idle()

    def flow(self) -> None:
        """Send what happened since the last call."""
        now = self.clock()
        for pair, feed in self.feeds.items():
            if not self.heard(pair):
                feed.skip_to(now)
                continue
            rows = feed.take(now)
            if rows:
                self._send(feed, rows)

    def heard(self, pair: str) -> bool:
        """Whether anybody listens to what trades of a pair cause."""
        return any(self.listeners(channel, pair) for channel in self.caused_by_trades)

    caused_by_trades: tuple[str, ...] = ("trade", "ticker")

    def _send(self, feed: Feed, rows: list[Row]) -> None:
        if self.faults.any():
            rows = self._disturb(feed, rows)
        if rows:
            self.publish(feed, rows)

    def _disturb(self, feed: Feed, rows: list[Row]) -> list[Row]:
        pair, counters = feed.spec.pair, feed.counters
        if self.faults.standing(Kind.SILENCE, pair) or self.faults.standing(Kind.MAINTENANCE):
            counters.skipped += len(rows)
            return []
        sent: list[Row] = []
        for row in rows:
            if self.faults.strikes(Kind.SKIP, pair):
                counters.skipped += 1
                continue
            sent.append(row)
            if self.faults.strikes(Kind.DUPLICATE, pair):
                sent.append(row)
            if len(sent) > 1 and self.faults.strikes(Kind.REORDER, pair):
                sent[-2:] = [sent[-1], sent[-2]]
                counters.reordered += 1
            if self.faults.strikes(Kind.MALFORMED, pair):
                counters.malformed += 1
                frame = self.broken_frame(feed, row, self.faults.choose(4))
                for session in self.listeners("trade", pair):
                    session.send(frame)
        return sent

    # Faults

    def order(self, order: Order) -> None:
        """Let a fault begin.

        Raises:
            ValueError: it names a pair that is not here.
        """
        if order.pair is not None and order.pair not in self.feeds:
            raise ValueError(f"{self.name} has no pair {order.pair}")
        if order.kind in INSTANT_KINDS:
            self.interrupt(order)
        else:
            self.faults.order(order)
            self.announce(order)

    def interrupt(self, order: Order) -> None:
        """End sockets, those of one pair or all."""
        for session in list(self.sessions):
            if order.pair is None or any(
                session in sessions for (_, pair), sessions in self.subscribers.items() if pair == order.pair
            ):
                session.cut(abort=order.abort)

    def announce(self, order: Order) -> None:
        """Tell the sockets about a fault that an exchange announces; most are not."""
        _log.info("fault_ordered", exchange=self.name, kind=order.kind, pair=order.pair)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after a while, if the simulator still runs then."""

        async def wait() -> None:
            await asyncio.sleep(delay)
            action()

        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """End what is still waiting, and all sockets."""
        for task in self._tasks:
            task.cancel()
        for session in list(self.sessions):
            session.cut()

    # REST

    def guarded(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A REST handler that first suffers the faults in force."""

        async def guard(request: web.Request) -> web.Response:
            response = self._suffered(request) or await handler(request)
            body = response.body
            refused = isinstance(body, bytes) and body.startswith(_REFUSED)
            endpoint = request.path.rpartition(self.rest_path)[2]
            self.requests.add(endpoint, request.query, answered=response.status == _OK and not refused)
            return response

        return guard

    def _suffered(self, request: web.Request) -> web.Response | None:
        if self.faults.any():
            for kind in REST_KINDS:
                order = self.faults.strikes(kind, path=request.path)
                if order is not None:
                    return self.fault_response(kind, order)
        return None

    async def bars(self, feed: Feed, timeframe: tuple[str, int], start: int, end: int) -> list[Bar]:
        """The candles of a pair that can be had, of a timeframe by name and seconds.

        Long ranges are computed beside the event loop, not to delay the live flow, and those of a pair one after the
        other: whoever gave up waiting and asks again finds what was computed meanwhile, instead of doubling the work.
        """
        name, length = timeframe
        now = self.now(feed)
        start = max(start, feed.listed_from)
        if end - start <= _SLOW_MINUTES * MINUTE:
            bars = feed.series.bars(length, start, end, now)
        else:
            async with feed.computing:
                bars = await asyncio.to_thread(feed.series.bars, length, start, end, now)
        return [bar for bar in bars if feed.has(bar, name)] if feed.lacks or feed.listed_from else bars

    def lack(self, lack: Lack) -> None:
        """Have something no more, until `have_all`.

        Raises:
            ValueError: no such pair.
        """
        self._feed_of(lack.pair).lacks.append(lack)

    def have_all(self) -> None:
        """Have everything again."""
        for feed in self.feeds.values():
            feed.lacks.clear()

    def list_pair(self, listing: Listing) -> None:
        """Have nothing of a pair over REST before its listing.

        Raises:
            ValueError: no such pair, or no midnight.
        """
        if listing.since % DAY:
            raise ValueError("a pair is listed at a midnight in UTC")
        self._feed_of(listing.pair).listed_from = listing.since

    def _feed_of(self, pair: str) -> Feed:
        if pair not in self.feeds:
            raise ValueError(f"{self.name} has no pair {pair}")
        return self.feeds[pair]

    def replay(self, pair: str, path: Any, speed: float) -> Replay:
        """Serve recorded trades under a pair from now on.

        Raises:
            ValueError: no such pair, or no such trades.
        """
        feed = self._feed_of(pair)
        feed.replay = Replay(read_kraken_trades(path, feed.spec), speed)
        feed.counters = PairCounters(generated_before=0)
        return feed.replay

    def report(self) -> dict[str, Any]:
        """Counters of each pair."""
        return {
            pair: feed.counters.report(self._generated(feed))
            | {"replay_finished": feed.replay and feed.replay.finished}
            for pair, feed in self.feeds.items()
        }

    def _generated(self, feed: Feed) -> int:
        return feed.replay.position if feed.replay else feed.simulated.count_before(self.clock())

    def reset(self) -> None:
        """Start counting anew."""
        self.requests = RequestLog()
        for feed in self.feeds.values():
            feed.counters = PairCounters(generated_before=self._generated(feed), last_ticker=feed.counters.last_ticker)


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


def seconds_text(nanoseconds: int) -> str:
    """Seconds since the epoch with six digits, more where the instant has more."""
    whole, rest = divmod(nanoseconds, SECOND)
    if rest % 1000:
        return f"{whole}.{rest:09d}".rstrip("0")
    return f"{whole}.{rest // 1000:06d}"


HTML_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
)
