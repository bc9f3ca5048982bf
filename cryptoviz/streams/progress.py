"""Whether a streaming query makes progress, seen from outside of it.

    reports of the job --> changed since the last one? --yes--> progress
                               | no, for seconds
                               +--> away, awaited, worked on? (broker, database, lock, processor) --yes--> progress

A batch reports nothing between its steps, and on a busy machine a step takes minutes: work of the database for it, and
processor time that it uses, show that it goes on. Spark waits silently, for minutes, within one trigger for a broker
that is away. In none of these cases would another worker get further than this one. A query stands still only when it
makes no progress and nothing holds it up.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg

from cryptoviz.logs import error_line
from cryptoviz.processes import family, thread_seconds
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

PROGRESS: Final = "progress"
"""The figure that changes with each progress, also while the work waits for a known reason; absent before the first."""
READY: Final = "ready"
"""The figure that says whether a batch has been finished yet; without it the first progress counts as that."""

_STANDSTILL_S: Final = 5.0
_PROBE_S: Final = 1.0
_AT_WORK: Final = 0.01
"""A thread that works uses at least this share of a processor, even on a machine with a hundredfold load; a thread that
waits and polls uses less."""

ReportFigures = Callable[[dict[str, Any]], None]
ProgressSign = Callable[[bool], str | None]
"""Looks for a reason why the query does not report: None where there is none, empty where the work goes on. Its
argument says whether this is the first look since the last progress."""


class ProgressWatch:
    """Passes the reports of a streaming query on and adds its progress. Never waits: it looks for signs in a thread."""

    def __init__(self, report: ReportFigures, signs: Sequence[ProgressSign]) -> None:
        self._report = report
        self._signs = signs
        self._seen: Any = None
        self._looked = time.monotonic()
        self._look: threading.Thread | None = None
        self._found = 0
        self._first = True
        self._held_up = ""

    def __call__(self, figures: dict[str, Any]) -> None:
        """Pass one report on."""
        now, seen = time.monotonic(), [figures.get(name) for name in ("trigger", "waits", "steps")]
        if seen != self._seen:
            self._seen, self._looked, self._first, self._held_up = seen, now, True, ""
        elif now - self._looked > _STANDSTILL_S and (self._look is None or not self._look.is_alive()):
            self._looked = now
            self._look = threading.Thread(target=self._look_for_signs, name="signs of life", daemon=True)
            self._look.start()
        if self._held_up:
            figures = figures | {"last_error": self._held_up}
        finished = figures.get("trigger") is not None
        if finished or figures.get("steps"):
            figures = figures | {PROGRESS: [*seen, self._found], READY: finished}
        self._report(figures)

    def _look_for_signs(self) -> None:
        first, self._first = self._first, False
        for sign in self._signs:
            why = sign(first)
            if why is not None:
                self._held_up = why
                self._found += 1
                return


def broker_away(settings: Settings) -> ProgressSign:
    """The sign that no broker accepts connections."""
    servers = settings.bootstrap_servers.split(",")

    def look(_first: bool) -> str | None:
        return None if any(map(_answers, servers)) else f"{', '.join(servers)} does not answer"

    return look


def _answers(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        socket.create_connection((host, int(port)), _PROBE_S).close()
    except OSError:
        return False
    return True


def database_at_work(settings: Settings, application_name: str) -> ProgressSign:
    """A sign while the writer's connections of this name are served, and while the database does not answer.

    A connection that is idle, or waits for the worker to send more, is none.
    """
    before: set[tuple[Any, ...]] = set()

    def look(_first: bool) -> str | None:
        nonlocal before
        try:
            with connect(Role.WRITER, settings, autocommit=True, application_name="signs of life") as connection:
                found = connection.execute(query("stream_work"), {"application_name": application_name}).fetchall()
        except psycopg.Error as error:
            return f"the database does not answer: {error_line(error)}"
        moves = {(pid, began, rows) for pid, _busy, _held_by, began, rows in found}
        moved, before = not moves <= before, moves
        held_by = sorted({holder for _pid, _busy, holder, *_ in found if holder})
        if held_by:
            return f"waits in the database for a lock of {', '.join(held_by)}"
        return "" if moved or any(busy for _pid, busy, *_ in found) else None

    return look


def processor_at_work(pid: int, limit_s: float) -> ProgressSign:
    """A sign while a thread of this process, or of one below it, works: until it has used `limit_s` of processor time.

    On an idle machine that is as long as a standstill may take; on a busy one the same work takes longer. The thread
    that reports does not count.
    """
    begun: dict[int, float] = {}
    before, since = begun, 0.0

    def look(first: bool) -> str | None:
        nonlocal begun, before, since
        if first:
            begun = before = _thread_seconds(pid)
            since = time.monotonic()
        # Processor time is counted in hundredths of a second: between looks in a row nobody has used any.
        time.sleep(max(0.0, since + _PROBE_S - time.monotonic()))
        now, at = _thread_seconds(pid), time.monotonic()
        at_work = any(used - before.get(thread, 0) >= _AT_WORK * (at - since) for thread, used in now.items())
        spent = max((used - begun.get(thread, 0) for thread, used in now.items()), default=0)
        before, since = now, at
        return "" if at_work and spent < limit_s else None

    return look


def _thread_seconds(pid: int) -> dict[int, float]:
    reports = threading.main_thread().native_id
    every = {thread: used for member in family(pid) for thread, used in thread_seconds(member).items()}
    return {thread: used for thread, used in every.items() if thread != reports}
