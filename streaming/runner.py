"""The owner of one stream: one process at a time, a sign of life every second, a graceful end on SIGTERM.

    advisory lock (busy: exit 75) -> epoch raised -> worker runs here, reports figures -> stream_status

The lock says who may start, the epoch who may write: a worker that was cut off from the database and comes back after
its successor has started finds its epoch over and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from cryptoviz.logs import logger
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

BUSY: Final = 75
"""Exit status when another process owns the stream (EX_TEMPFAIL)."""

Report = Callable[[dict[str, Any]], None]
Worker = Callable[[Settings, int, threading.Event, Report], None]

_COLLECTOR: Final = "collector_"
_HEARTBEAT_S: Final = 1.0
_LOCK_SQL: Final = "SELECT pg_try_advisory_lock(hashtextextended('cryptoviz.stream.' || %(name)s, 0))"
_COLUMNS: Final = ("lag", "rows_total", "batch_rows", "batch_ms", "last_error")

_log = logger(__name__)


def stream_names(settings: Settings) -> list[str]:
    """The streams that `run` knows."""
    return [*(f"{_COLLECTOR}{exchange}" for exchange in settings.exchanges), "ingestion"]


def worker(name: str) -> Worker:
    """What runs as stream `name`."""
    if name.startswith(_COLLECTOR):
        return _collect(name.removeprefix(_COLLECTOR))
    return _ingest


def _ingest(settings: Settings, epoch: int, stop: threading.Event, report: Report) -> None:
    # Imported late: collectors go without Spark, half a second and a hundred megabytes lighter.
    from streaming.jobs.ingestion import Ingestion  # noqa: PLC0415

    Ingestion(settings, epoch, stop, report).run()


def _collect(exchange: str) -> Worker:
    def collect(settings: Settings, _epoch: int, stop: threading.Event, report: Report) -> None:
        from cryptoviz import collectors  # noqa: PLC0415

        async def until_stopped() -> None:
            stopping = asyncio.Event()
            relay = threading.Thread(target=_relay, args=(stop, asyncio.get_running_loop(), stopping), daemon=True)
            relay.start()
            await collectors.run(exchange, settings, stopping, report)

        asyncio.run(until_stopped())

    return collect


def _relay(stop: threading.Event, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    stop.wait()
    with contextlib.suppress(RuntimeError):  # the loop is closed: the collector has ended by itself
        loop.call_soon_threadsafe(stopping.set)


@dataclass
class Ownership:
    """The right to run a stream, and its row in stream_status."""

    name: str
    settings: Settings
    epoch: int = 0
    _connection: psycopg.Connection[Any] | None = None
    _figures: dict[str, Any] = field(default_factory=dict)

    def claim(self) -> bool:
        """Take the lock and raise the epoch; False when another process owns the stream."""
        if not self._lock():
            return False
        row = self._execute("claim_stream", {"name": self.name, "pid": os.getpid(), "host": socket.gethostname()})
        self.epoch = row[0]
        return True

    def report(self, figures: dict[str, Any]) -> None:
        """Remember the worker's figures for the next heartbeat; those without a column of their own become detail."""
        self._figures = figures

    def beat(self, state: str) -> bool:
        """Write a sign of life; False when the stream has another owner by now."""
        if self._connection is None and not self._lock():
            return False
        figures = self._figures
        detail = {name: value for name, value in figures.items() if name not in _COLUMNS}
        row = self._execute(
            "stream_heartbeat",
            {
                "name": self.name,
                "epoch": self.epoch,
                "state": state,
                "detail": Jsonb(detail),
                **{name: figures.get(name) for name in _COLUMNS},
            },
        )
        return row is not None

    def close(self) -> None:
        """Give the stream up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lock(self) -> bool:
        self._connection = connect(Role.WRITER, self.settings, autocommit=True, application_name=f"stream_{self.name}")
        row = self._connection.execute(_LOCK_SQL, {"name": self.name}).fetchone()
        if row is None or not row[0]:
            self.close()
            return False
        return True

    def _execute(self, name: str, values: dict[str, Any]) -> Any:
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        try:
            return self._connection.execute(query(name), values).fetchone()
        except psycopg.OperationalError:
            self.close()
            raise


def run(name: str, settings: Settings) -> int:
    """Run stream `name` until SIGTERM or SIGINT; returns the exit status: 0 stopped, 75 another process owns it."""
    ownership = Ownership(name, settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not ownership.claim():
        _log.warning("stream_has_an_owner", stream=name)
        return BUSY
    _log.info("stream_started", stream=name, epoch=ownership.epoch)
    finished = threading.Event()
    heart = threading.Thread(target=_beat, args=(ownership, stop, finished), name="heartbeat", daemon=True)
    heart.start()
    failed = True
    try:
        worker(name)(settings, ownership.epoch, stop, ownership.report)
        failed = False
    finally:
        finished.set()
        heart.join(timeout=5)
        _last_word(ownership, "failed" if failed else "stopped")
        _log.info("stream_ended", stream=name, epoch=ownership.epoch, failed=failed)
    return 0


def _beat(ownership: Ownership, stop: threading.Event, finished: threading.Event) -> None:
    while not finished.is_set():
        try:
            if not ownership.beat("stopping" if stop.is_set() else "running"):
                _log.error("stream_taken_over", stream=ownership.name, epoch=ownership.epoch)
                stop.set()
                return
        except psycopg.OperationalError as error:
            _log.warning("heartbeat_failed", stream=ownership.name, reason=str(error).splitlines()[0])
        finished.wait(_HEARTBEAT_S)


def _last_word(ownership: Ownership, state: str) -> None:
    try:
        ownership.beat(state)
    except psycopg.OperationalError as error:
        _log.warning("heartbeat_failed", stream=ownership.name, reason=str(error).splitlines()[0])
    ownership.close()
