"""Which streams there are, and what does the work of each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from typing import Any

from cryptoviz.settings import Settings
from cryptoviz.streams.facts import COLLECTOR, INGESTION
from cryptoviz.streams.progress import (
    PROGRESS,
    ProgressWatch,
    ReportFigures,
    broker_away,
    database_at_work,
    processor_at_work,
)
from cryptoviz.streams.worker import Job


def stream_names(settings: Settings) -> list[str]:
    """The streams there are with these settings."""
    return [*(f"{COLLECTOR}{exchange}" for exchange in settings.exchanges), INGESTION]


def job(name: str) -> Job:
    """What runs as stream `name`."""
    if name.startswith(COLLECTOR):
        return _collect(name.removeprefix(COLLECTOR))
    return _ingest


def _ingest(settings: Settings, epoch: int, stop: threading.Event, report: ReportFigures) -> None:
    # Imported late: collectors go without Spark, half a second and a hundred megabytes lighter.
    from streaming.jobs.ingestion import Ingestion, application_name  # noqa: PLC0415

    signs = [
        processor_at_work(os.getpid(), settings.stream_stall_s),
        database_at_work(settings, application_name(epoch)),
        broker_away(settings),
    ]
    Ingestion(settings, epoch, stop, ProgressWatch(report, signs)).run()


def _collect(exchange: str) -> Job:
    def collect(settings: Settings, _epoch: int, stop: threading.Event, report: ReportFigures) -> None:
        from cryptoviz import collectors  # noqa: PLC0415 - the ingestion goes without sockets

        def moved(figures: dict[str, Any]) -> None:
            # A socket that is away is known to be, and the collector connects again by itself.
            at = figures["received"] if figures["connected"] else time.monotonic()
            report(figures | {PROGRESS: at} if figures["rows_total"] else figures)

        async def until_stopped() -> None:
            stopping = asyncio.Event()
            relay = threading.Thread(target=_relay, args=(stop, asyncio.get_running_loop(), stopping), daemon=True)
            relay.start()
            await collectors.run(exchange, settings, stopping, moved)

        asyncio.run(until_stopped())

    return collect


def _relay(stop: threading.Event, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    stop.wait()
    with contextlib.suppress(RuntimeError):  # the loop is closed: the collector has ended by itself
        loop.call_soon_threadsafe(stopping.set)
