"""The runner of one stream: a small process that owns it and keeps one worker, its child, doing the work.

    lock (busy: exit 75) -> desired? -> epoch -> worker --lines--> stream_status, each second
            ^                                      | dies, hangs, new generation
            +----- growing delay, stream_events ---+

The runner decides by its worker's reports and by stream_control. While the database is away, runner and worker go on
with what stream_control said last; only the start of a worker waits for the database, because it needs a new epoch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from cryptoviz.logs import error_line, logger
from cryptoviz.settings import Settings
from cryptoviz.streams.database_calls import DatabaseCalls
from cryptoviz.streams.ownership import Ownership, PreviousRun, StreamControl, StreamEvent
from cryptoviz.streams.progress import PROGRESS, READY
from cryptoviz.streams.worker_life import (
    EndCause,
    Outage,
    WorkerEnd,
    WorkerLife,
    exit_reason,
    exit_status,
    hang_reason,
    restart_backoff,
)
from cryptoviz.streams.worker_process import ended_within, find_orphan, kill_group

BUSY: Final = 75
"""Exit status when another process owns the stream (EX_TEMPFAIL)."""
_POLL_S: Final = 0.25
_ABSENT_S: Final = 1.0
_BEAT_S: Final = 1.0
_ORPHAN_S: Final = 5.0
_LAST_LINE_S: Final = 3.0
_LINE_BYTES: Final = 1 << 20
_EVENTS_KEPT: Final = 1000
_log = logger(__name__)


class Runner:
    """Runs one stream until a signal stops it or another process takes the stream over."""

    def __init__(self, name: str, settings: Settings, command: Sequence[str] | None = None) -> None:
        self.name = name
        self.settings = settings
        self._command = list(command or [sys.executable, "-m", "streaming", "work", name])
        self._ownership = Ownership(name, settings)
        self._calls = DatabaseCalls()
        self._wake = asyncio.Event()
        self._control = StreamControl()
        self._state = "stopped"
        self._life: WorkerLife | None = None
        self._last_error: str | None = None
        self._restarts = 0
        self._next_start = 0.0
        self._outage: Outage | None = None
        self._stopping = False
        self._lost_ownership = False
        self._database_away = False
        self._events: deque[StreamEvent] = deque(maxlen=_EVENTS_KEPT)

    async def run(self) -> int:
        """Keep the stream as stream_control says; returns the exit status: 0 stopped, 75 another process owns it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._begin_stop)
        previous = await self._take_ownership()
        if previous is None:
            return 0 if self._stopping else BUSY
        _log.info("runner_started", stream=self.name, epoch=previous.epoch, desired=previous.control.desired)
        self._take_over(previous)
        beating = asyncio.create_task(self._beat_forever(), name="heartbeat")
        beating.add_done_callback(self._on_heartbeat_end)
        last = "failed"
        try:
            await self._await_orphan(previous)
            await self._keep_worker()
            last = "stopped"
        finally:
            beating.cancel()
            self._state, self._life = last, None
            await self._write_last_status()
        return BUSY if self._lost_ownership else 0

    # Owning the stream

    def _begin_stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def _take_ownership(self) -> PreviousRun | None:
        while not self._stopping:
            try:
                previous = await self._calls.run(self._ownership.take)
            except psycopg.Error as error:
                self._note_database_away(error)
                await self._wait_for_change(_BEAT_S)
                continue
            if previous is None:
                _log.warning("stream_has_an_owner", stream=self.name)
            return previous
        return None

    def _take_over(self, previous: PreviousRun) -> None:
        self._database_away = False
        self._control = previous.control
        if previous.state in {None, "stopped"}:
            return
        self._restarts = previous.restarts
        silent_s = previous.silent_s or 0.0
        how = "failed" if previous.state == "failed" else "ended without a last word"
        reason = f"the runner before (pid {previous.runner_pid}) {how}"
        detail = {"runner_pid": previous.runner_pid, "state": previous.state, "silent_s": round(silent_s, 1)}
        self._record("taken_over", reason, detail)
        self._outage = Outage(time.monotonic() - silent_s, reason)

    async def _await_orphan(self, previous: PreviousRun) -> None:
        """Wait for the end of a worker that the previous runner left on this machine; kill it when it does not end."""
        orphan = find_orphan(previous, self._command)
        if orphan is None:
            return
        _log.warning("waiting_for_orphan", stream=self.name, pid=orphan.pid)
        if not await ended_within(orphan, _ORPHAN_S):
            kill_group(orphan.pid)
            self._record("killed", f"the orphan {orphan.pid} did not end within {_ORPHAN_S:g} s", {"pid": orphan.pid})
            await ended_within(orphan, _ORPHAN_S)

    # Keeping a worker

    async def _keep_worker(self) -> None:
        while not (self._stopping or self._lost_ownership):
            left = self._next_start - time.monotonic()
            if self._control.desired == "stopped":
                self._state = "stopped"
                self._next_start = 0.0
                await self._wait_for_change(None)
            elif left > 0:
                self._state = "restarting"
                await self._wait_for_change(left)
            else:
                await self._run_worker()

    async def _run_worker(self) -> None:
        """Start one worker and watch it until its end."""
        self._state = "starting"
        generation = self._control.generation
        if not await self._claim(generation):
            await self._wait_for_change(_BEAT_S)
            return
        if self._stopping:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command, "--epoch", str(self._ownership.epoch), stdin=theirs.fileno(), start_new_session=True
            )
        life = WorkerLife(self._ownership.epoch, generation, time.monotonic(), process.pid)
        self._life = life
        self._record("started", "", {"pid": process.pid, "generation": generation, "restarts": self._restarts})
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_BYTES)
        listening = asyncio.create_task(self._listen(reader, life), name="listen")
        try:
            end = await self._watch_until_end(process, life)
        finally:
            kill_group(process.pid)
            await process.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listening, _LAST_LINE_S)  # for its last line
            writer.close()
        self._plan_next_start(process, life, end)
        self._life = None

    async def _claim(self, generation: int) -> bool:
        try:
            claimed = await self._calls.run(lambda: self._ownership.claim(generation))
        except psycopg.errors.LockNotAvailable:
            _log.info("waiting_for_the_batch_before", stream=self.name, epoch=self._ownership.epoch)
            return False
        except psycopg.Error as error:
            self._note_database_away(error)
            return False
        if not claimed:
            _log.warning("lock_is_held", stream=self.name)
        return claimed

    async def _listen(self, reader: asyncio.StreamReader, life: WorkerLife) -> None:
        with contextlib.suppress(OSError, ValueError):  # the worker is gone, or its line is no JSON
            while line := await reader.readline():
                self._hear(life, json.loads(line))

    def _hear(self, life: WorkerLife, figures: dict[str, Any] | None) -> None:
        was_ready, now = life.ready, time.monotonic()
        life.hear(figures, now)
        if life.begun and self._state == "starting":
            self._state = "running"
        if life.ready is not None and was_ready is None:
            self._record("ready", "", {"seconds": round(now - life.started, 2)})
        if life.begun:
            self._last_error = life.figures.get("last_error")
        if life.ready is not None and now - life.ready >= self.settings.stream_healthy_s:
            self._restarts = 0
        self._note_recovery(life)

    def _note_recovery(self, life: WorkerLife) -> None:
        outage = self._outage
        if outage is None or life.ready is None:
            return
        if outage.rows_s is None and life.rows_at is not None:
            outage.rows_s = round(life.rows_at - outage.since, 2)
        if life.lag_zero is None:
            return
        lag_zero_s = round(life.lag_zero - outage.since, 2)
        detail = {"rows_s": outage.rows_s, "lag_zero_s": lag_zero_s, "ends": outage.ends}
        self._record("recovered", outage.cause, detail)
        self._outage = None

    async def _watch_until_end(self, process: Process, life: WorkerLife) -> WorkerEnd:
        exited = asyncio.create_task(process.wait(), name="exit")
        looked = time.monotonic()
        try:
            while True:
                await asyncio.wait({exited}, timeout=_POLL_S)
                now = time.monotonic()
                if now - looked > _ABSENT_S:
                    life.ignore_absence(now - looked)
                looked = now
                if exited.done():
                    return WorkerEnd(EndCause.DIED, now)
                if self._stopping or self._lost_ownership or self._control.desired == "stopped":
                    await self._stop_worker(process, exited)
                    return WorkerEnd(EndCause.STOP, now)
                if self._control.generation != life.generation:
                    await self._stop_worker(process, exited)
                    return WorkerEnd(EndCause.RESTART, now)
                reason = hang_reason(life, self.settings, now)
                if reason is not None:
                    self._kill_hung_worker(process, life, reason)
                    return WorkerEnd(EndCause.HUNG, life.heard or life.started)
        finally:
            exited.cancel()

    def _kill_hung_worker(self, process: Process, life: WorkerLife, reason: str) -> None:
        self._record("hung", reason, {"uptime_s": round(time.monotonic() - life.started, 1)})
        self._last_error = reason
        # A worker that does not report will not stop gracefully, and a suspended process takes no other signal.
        kill_group(process.pid)
        self._record("killed", reason, {"pid": process.pid})

    async def _stop_worker(self, process: Process, exited: asyncio.Task[int]) -> None:
        """Ask the worker to end; kill it with all that it started when it takes longer than `stream_stop_s`."""
        self._state = "stopping"
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait({exited}, timeout=self.settings.stream_stop_s)
        if not exited.done():
            kill_group(process.pid)
            reason = f"it did not end within {self.settings.stream_stop_s:g} s"
            self._record("killed", reason, {"pid": process.pid})

    def _plan_next_start(self, process: Process, life: WorkerLife, end: WorkerEnd) -> None:
        now = time.monotonic()
        uptime_s = round(now - life.started, 1)
        self._state = "stopped" if end.cause is EndCause.STOP else "restarting"
        if end.cause in {EndCause.STOP, EndCause.RESTART}:
            self._record("stopped", "", {"seconds": round(now - end.since, 2), "uptime_s": uptime_s})
            self._next_start = 0.0
            if end.cause is EndCause.RESTART:
                self._note_outage(end.since, "a restart was asked for")
            return
        if end.cause is EndCause.DIED:
            reported = life.figures.get("last_error")
            self._last_error = exit_reason(process.returncode) + (f": {reported}" if reported else "")
            self._record("died", self._last_error, {**exit_status(process.returncode), "uptime_s": uptime_s})
        self._restarts += 1
        wait_s = restart_backoff(self.settings).seconds(self._restarts)
        self._next_start = now + wait_s
        self._note_outage(end.since, self._last_error or "")
        _log.warning("worker_ended", stream=self.name, reason=self._last_error, restarts=self._restarts, delay_s=wait_s)

    def _note_outage(self, since: float, cause: str) -> None:
        if self._outage is None:
            self._outage = Outage(since, cause)
        else:
            self._outage.ends += 1

    # Reporting

    def _record(self, event: str, reason: str, detail: dict[str, Any]) -> None:
        self._events.append(StreamEvent(datetime.now(UTC), event, self._ownership.epoch, reason, detail))
        _log.info(f"worker_{event}", stream=self.name, epoch=self._ownership.epoch, reason=reason, **detail)

    async def _beat_forever(self) -> None:
        while not self._lost_ownership:
            try:
                control = await self._beat()
            except psycopg.Error as error:
                self._note_database_away(error)
            else:
                self._follow_control(control)
            await asyncio.sleep(_BEAT_S)

    def _on_heartbeat_end(self, beating: asyncio.Task[None]) -> None:
        if not beating.cancelled() and (error := beating.exception()) is not None:
            _log.error("heartbeat_failed", stream=self.name, reason=repr(error))
            self._begin_stop()

    async def _beat(self) -> StreamControl | None:
        state, vitals, figures, events = self._state, self._vitals(), self._figures(), list(self._events)

        def write() -> StreamControl | None:
            control = self._ownership.beat(state, vitals, figures)
            for event in events if control is not None else ():
                self._ownership.write_event(event)
            return control

        control = await self._calls.run(write)
        for event in events:
            with contextlib.suppress(ValueError):  # pushed out by later ones
                self._events.remove(event)
        return control

    def _follow_control(self, control: StreamControl | None) -> None:
        if self._database_away:
            self._database_away = False
            _log.info("database_is_back", stream=self.name)
        if control is None:
            _log.error("stream_taken_over", stream=self.name, epoch=self._ownership.epoch)
            self._lost_ownership = True
        elif control != self._control:
            if control.generation != self._control.generation:
                self._next_start = 0.0
                self._record("restart_requested", "", {"generation": control.generation})
            self._control = control
        else:
            return
        self._wake.set()

    def _vitals(self) -> dict[str, Any]:
        now, life = time.monotonic(), self._life
        left = self._next_start - now
        vitals: dict[str, Any] = {
            "restarts": self._restarts,
            "next_start_s": left if self._state == "restarting" and left > 0 else None,
        }
        if life is not None:
            vitals |= life.ages(now) | {"pid": life.pid}
        return vitals

    def _figures(self) -> dict[str, Any]:
        figures = self._life.figures if self._life is not None else {}
        reported = {name: value for name, value in figures.items() if name not in {PROGRESS, READY}}
        return reported | {"last_error": self._last_error}

    async def _write_last_status(self) -> None:
        if self._lost_ownership:
            return
        try:
            await asyncio.wait_for(self._beat(), _LAST_LINE_S)
        except (psycopg.Error, TimeoutError) as error:
            self._note_database_away(error)
        _log.info("runner_ended", stream=self.name, epoch=self._ownership.epoch, state=self._state)

    def _note_database_away(self, error: Exception) -> None:
        if not self._database_away:
            _log.warning("database_is_away", stream=self.name, reason=error_line(error))
        self._database_away = True

    async def _wait_for_change(self, seconds: float | None) -> None:
        """Wait for so long, or without a limit, but no longer than until the desired state or the owner changes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()


def run(name: str, settings: Settings, command: Sequence[str] | None = None) -> int:
    """Run stream `name` until SIGTERM or SIGINT; returns the exit status: 0 stopped, 75 another process owns it.

    `command` starts a worker; the runner adds the epoch.
    """
    return asyncio.run(Runner(name, settings, command).run())
