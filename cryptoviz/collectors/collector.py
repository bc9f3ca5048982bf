"""One exchange's collector: frames in, records out, no trade missing.

    session -> frame -> parse -> continuity -> bus (rawtrade, rawticker, rawcandle, rawalert; deadletter)
    tick    -> acknowledgements, gaps, positions -> ledger
    gap     -> healer -> REST -> bus -> acknowledged -> ledger: closed with its label

Everything runs in one event loop; a frame is handled completely before the next one, without tasks per message.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptoviz.bus import Bus
from cryptoviz.collectors import positions
from cryptoviz.collectors.alerts import PriceMonitor
from cryptoviz.collectors.healer import Healer
from cryptoviz.collectors.ledger import GapRow, Ledger
from cryptoviz.collectors.pair import CollectedPair
from cryptoviz.collectors.recorder import Recorder
from cryptoviz.collectors.session import Connection, Pace, Session
from cryptoviz.collectors.watchdog import Watchdog
from cryptoviz.exchanges.adapter import (
    ClosingSoon,
    Event,
    Exchange,
    FrameError,
    InstrumentStatus,
    Pong,
    Refused,
    Subscribed,
    SystemStatus,
    UnknownPair,
)
from cryptoviz.logs import logger
from cryptoviz.records import Candle, Record, Ticker, Trade
from cryptoviz.remote.backoff import Backoff
from cryptoviz.remote.rest import RestClient
from cryptoviz.settings import Settings

REORDER_S: Final = 1.5
"""How long a missing id may be on its way before it counts as lost."""

_TICK_S: Final = 0.1
_LOAD_S: Final = 2.0
_WRITE_S: Final = 1.0
_REPORT_S: Final = 1.0
_CLOSE_S: Final = 10.0
_LISTED_S: Final = 60.0
_ONLINE: Final = "online"
_TOPIC_OF: Final[dict[type[Record], str]] = {Ticker: "rawticker", Candle: "rawcandle"}

_log = logger(__name__)


class PairsChangedError(Exception):
    """The exchange now lists a pair under another name than the one it is collected by, or a refused one rightly."""


class Collector:
    """Collects one exchange until told to stop. `refused` are configured pairs that it must not collect, and why."""

    def __init__(
        self,
        exchange: Exchange,
        settings: Settings,
        bus: Bus,
        ledger: Ledger,
        rest: RestClient,
        *,
        reorder_s: float = REORDER_S,
        refused: Mapping[str, str] | None = None,
        listed_s: float = _LISTED_S,
    ) -> None:
        self.received = 0
        self.refused = 0
        self.counters: Counter[str] = Counter()
        self.pairs = {name: CollectedPair(exchange.name, name) for name in exchange.pairs}
        self._exchange = exchange
        self._settings = settings
        self._bus = bus
        self._ledger = ledger
        self._rest = rest
        self._reorder_s = reorder_s
        self._refused_pairs = dict(refused or {})
        self._listed_s = listed_s
        self._monitor = PriceMonitor(
            settings.alert_threshold_percent, settings.alert_window_s, settings.alert_cooldown_s
        )
        directory = settings.collector_record_dir
        self._recorder = Recorder(directory, exchange.name) if directory is not None else None
        self._healer = Healer(exchange, bus, ledger, rest, {name: pair.continuity for name, pair in self.pairs.items()})
        self._seen_names: set[str] = set()
        self._pair_status: dict[str, str] = {}
        self._system = ""
        self._loaded = asyncio.Event()
        self._session = Session(
            exchange,
            exchange.address(settings.ws_url(exchange.name)),
            Pace(
                settings.collector_silence_s,
                Backoff(settings.collector_reconnect_min_s, settings.collector_reconnect_max_s),
            ),
            on_frame=self.on_frame,
            on_ready=self._on_ready,
            on_sent=self._on_sent,
            on_connect=self._on_connect,
        )
        self._watchdog = Watchdog(
            exchange,
            self.pairs,
            rest,
            self._session,
            self.counters,
            quiet_s=settings.collector_quiet_s,
            silence_s=settings.collector_silence_s,
            on_unknown=self._unknown,
        )

    async def run(self, stop: asyncio.Event, report: Callable[[dict[str, Any]], None]) -> None:
        """Collect until `stop`; then send what is in the buffer and write down the rest as gaps."""
        self._bus.start()
        tasks = [
            asyncio.create_task(self._write_forever(), name="ledger"),
            asyncio.create_task(self._healer.run(), name="healer"),
            asyncio.create_task(self._tick_forever(report), name="tick"),
            asyncio.create_task(self._connected(stop), name="session"),
            asyncio.create_task(self._watchdog.run(), name="watchdog"),
            asyncio.create_task(self._watch_spellings(), name="spellings"),
        ]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not stop.is_set():
                    task.result()  # a part that ended by itself has failed: so does the collector, and is restarted
        finally:
            stop.set()
            stopping.cancel()
            await self._end([*tasks, *self._watchdog.checks], report)

    async def _connected(self, stop: asyncio.Event) -> None:
        # Knowing the positions first spares sending again what an earlier life sent; collecting never waits long.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), _LOAD_S)
        await self._session.run(stop)

    async def _end(self, tasks: list[asyncio.Task[None]], report: Callable[[dict[str, Any]], None]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._bus.close, _CLOSE_S)
        self._tick(float("inf"))
        positions.capture(self.pairs.values(), self._bus)
        self._settle_positions()
        await self._ledger.write()
        await self._rest.close()
        if self._recorder is not None:
            self._recorder.close()
        report(self.state())

    def on_frame(self, frame: bytes, connection: Connection) -> bool:
        """Handle one frame: send its records, act on its event, or set it aside as a dead letter.

        False for a pong: it proves the socket, not the subscriptions.
        """
        self.received += 1
        if self._recorder is not None:
            self._recorder.write(connection.name, "recv", frame)
        try:
            parsed = self._exchange.parse(frame, datetime.now(UTC))
        except FrameError as error:
            self._set_aside(frame, error)
            parsed = error.records
        if isinstance(parsed, list):
            connection.data_at = time.monotonic()
            if self._exchange.traits.implicit:
                connection.delivered.set()
            for record in parsed:
                self._dispatch(record)
        else:
            self._on_event(parsed, connection)
        return not isinstance(parsed, Pong)

    def on_lost(self, topic: str, _key: str, record: Any, reason: str) -> None:
        """A message will not reach the broker: a trade becomes a gap, the rest is counted."""
        self.counters[f"lost_{topic}"] += 1
        if topic == "rawtrade":
            self.pairs[record.pair].continuity.lose(record.trade_id, record.timestamp)
        if self.counters[f"lost_{topic}"] == 1:
            _log.error("message_lost", exchange=self._exchange.name, topic=topic, reason=reason)

    def _set_aside(self, frame: bytes, error: FrameError) -> None:
        self.refused += 1
        self.counters[f"refused_{error.kind}"] += 1
        self._bus.dead_letter(
            frame,
            self._exchange.name,
            origin=f"ws:{self._exchange.name}",
            error_class=error.kind,
            error=error.reason,
        )

    def _dispatch(self, record: Record) -> None:
        if type(record) is Trade:
            pair = self.pairs.get(record.pair)
            if pair is None:
                self._unknown(record.pair)
                return
            now = time.monotonic()
            pair.traded_at = now
            if pair.continuity.accept(record.trade_id, record.timestamp, now):
                self._bus.send("rawtrade", record)
                alert = self._monitor.observe(record)
                if alert is not None:
                    self._bus.send("rawalert", alert)
            return
        name = record.symbol if isinstance(record, Candle) else record.pair  # type: ignore[attr-defined]
        pair = self.pairs.get(name)
        if pair is None:
            self._unknown(name)
            return
        pair.quoted_at = time.monotonic()
        self._bus.send(_TOPIC_OF[type(record)], record)

    def _unknown(self, name: str) -> None:
        self.counters["unknown_pair"] += 1
        if name not in self._seen_names and len(self._seen_names) < 1000:
            self._seen_names.add(name)
            _log.warning("unknown_pair", exchange=self._exchange.name, name=name)

    def _on_event(self, event: Event, connection: Connection) -> None:
        now = time.monotonic()
        if isinstance(event, Subscribed):
            connection.subscriptions.accepted(event, now)
            for warning in event.warnings:
                _log.warning("subscription_warning", exchange=self._exchange.name, pair=event.pair, warning=warning)
            self._maybe_delivered(connection)
        elif isinstance(event, Refused):
            concerned = connection.subscriptions.refused(event, now)
            self.counters["subscriptions_refused"] += 1
            _log.warning(
                "subscription_refused",
                exchange=self._exchange.name,
                reason=event.reason,
                pairs=sorted({pair for _channel, pair in concerned}),
            )
            self._maybe_delivered(connection)
        elif isinstance(event, ClosingSoon):
            _log.info("closing_soon", exchange=self._exchange.name)
            self._session.rotate()
        elif isinstance(event, SystemStatus):
            self._on_status(event.status)
        elif isinstance(event, InstrumentStatus):
            self._on_instruments(event.statuses)
        elif isinstance(event, UnknownPair):
            self._unknown(event.name)

    @staticmethod
    def _maybe_delivered(connection: Connection) -> None:
        if connection.subscriptions.state and not connection.subscriptions.waiting():
            connection.delivered.set()

    def _on_status(self, status: str) -> None:
        if status != self._system:
            _log.warning("exchange_status", exchange=self._exchange.name, status=status)
        self._system = status
        self._session.maintenance = status != _ONLINE

    def _on_instruments(self, statuses: dict[str, str]) -> None:
        for pair, status in statuses.items():
            if self._pair_status.get(pair, _ONLINE) != status:
                _log.warning("instrument_status", exchange=self._exchange.name, pair=pair, status=status)
        self._pair_status |= statuses

    async def _on_ready(self, _connection: Connection) -> None:
        await self._watchdog.catch_up()

    def _on_sent(self, connection: str, message: str) -> None:
        if self._recorder is not None:
            self._recorder.write(connection, "send", message)

    def _on_connect(self, connection: str, address: str) -> None:
        if self._recorder is not None:
            self._recorder.write(connection, "connect", url=address)

    async def _watch_spellings(self) -> None:
        """End once the exchange is known to list other pairs than those collected: the next start asks again."""
        pairs = [*self._exchange.pairs, *self._refused_pairs]
        while True:
            await asyncio.sleep(self._listed_s)
            refused = await self._ledger.refused(self._exchange.name, pairs)
            if refused is not None and refused.keys() != self._refused_pairs.keys():
                reasons = "; ".join(f"{pair}: {reason}" for pair, reason in refused.items())
                raise PairsChangedError(reasons or "every pair is confirmed now")

    async def _tick_forever(self, report: Callable[[dict[str, Any]], None]) -> None:
        reported = 0.0
        while True:
            now = time.monotonic()
            self._bus.poll()
            self._tick(now)
            if now - reported >= _REPORT_S:
                reported = now
                report(self.state())
            await asyncio.sleep(_TICK_S)

    def _tick(self, now: float) -> None:
        for pair in self.pairs.values():
            continuity = pair.continuity
            if continuity.gaps:
                for gap in continuity.declare(now, self._reorder_s):
                    self.counters["gaps"] += 1
                    self._ledger.gap(GapRow.of(gap))
                    self._healer.add(gap)
                for gap in continuity.grown():
                    self._ledger.gap(GapRow.of(gap))

    async def _write_forever(self) -> None:
        while not self._ledger.loaded:
            await self._load()
            if not self._ledger.loaded:
                await asyncio.sleep(_WRITE_S)
        while True:
            self._settle_positions()
            written = await self._ledger.write()
            positions.capture(self.pairs.values(), self._bus)
            await asyncio.sleep(_WRITE_S if written else _WRITE_S * 5)

    async def _load(self) -> None:
        found = await self._ledger.load()
        if found is None:
            return
        known, gaps = found
        for row in gaps:
            if row.pair in self.pairs:
                gap = self.pairs[row.pair].continuity.adopt(row.first, row.last, row.detected_at, row.attempts)
                if gap is not None:
                    self._healer.add(gap)
        for position in known:
            if position.pair in self.pairs:
                self.pairs[position.pair].continuity.restore(position.trade_id, position.timestamp)
        self._loaded.set()
        _log.info("resumed", exchange=self._exchange.name, positions=len(known), gaps=len(gaps))

    def _settle_positions(self) -> None:
        """Pass on the positions whose messages are settled; lost messages have become gaps by then."""
        self._bus.poll()
        self._tick(time.monotonic())
        positions.settle(self.pairs.values(), self._bus, self._ledger)

    def state(self) -> dict[str, Any]:
        """What the collector is doing, for ``stream_status`` and for logs; ages are in seconds."""
        now = time.monotonic()
        connection = self._session.connection
        return {
            "exchange": self._exchange.name,
            "connected": connection is not None and connection.opened_at is not None,
            "system": self._system,
            "received": self.received,
            "produced": self._bus.sent,
            "rows_total": self._bus.acked,
            "lag": self._bus.pending,
            "lost": self._bus.lost,
            "broker": self._bus.connected,
            "refused": self.refused,
            "duplicates": sum(pair.continuity.duplicates for pair in self.pairs.values()),
            "gaps_open": sum(len(pair.continuity.gaps) for pair in self.pairs.values()),
            "gaps_healed": self._healer.healed,
            "trades_healed": self._healer.fetched,
            "reconnects": self._session.reconnects,
            "planned_reconnects": self._session.planned,
            "last_disconnect": self._session.last_end,
            "database": not self._ledger.away,
            "rest_requests": self._rest.requests,
            "rest_failures": self._rest.failures,
            "frame_age": round(now - connection.alive_at, 3) if connection is not None else None,
            "pairs": {name: pair.ages(now) for name, pair in self.pairs.items()},
            "refused_subscriptions": {
                **{f"every channel of {pair}": why for pair, why in self._refused_pairs.items()},
                **(
                    {f"{channel} {pair}": why for (channel, pair), why in connection.subscriptions.reasons.items()}
                    if connection is not None
                    else {}
                ),
            },
            "instruments": {pair: status for pair, status in self._pair_status.items() if status != _ONLINE},
            "counters": dict(self.counters),
        }
