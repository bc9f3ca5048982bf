"""The runner of one stream: a small process that owns it and keeps one worker, its child, doing the work.

    lock (busy: exit 75) -> desired? -> epoch -> worker --lines--> stream_status, each second
            ^                                      | dies, hangs, new generation
            +----- growing delay, stream_events ---+

The runner decides by what it hears and by stream_control. While the database is away it goes on with what it knew, and
so does the worker; nothing here waits for the database except the start of a worker, which needs its epoch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final, TypeVar

import psycopg

from cryptoviz.logs import logger
from cryptoviz.processes import Process as KnownProcess
from cryptoviz.processes import read_process
from cryptoviz.settings import Settings
from cryptoviz.streams.ownership import Before, Control, Event, Ownership
from cryptoviz.streams.progress import PROGRESS, READY

BUSY: Final = 75
"""Exit status when another process owns the stream (EX_TEMPFAIL)."""

_POLL_S: Final = 0.25
_ABSENT_S: Final = 1.0
_BEAT_S: Final = 1.0
_ORPHAN_S: Final = 5.0
_LAST_WORD_S: Final = 3.0
_LINE_BYTES: Final = 1 << 20
_EVENTS_KEPT: Final = 1000
_JITTER: Final = 0.2

T = TypeVar("T")
_log = logger(__name__)


@dataclass
class Life:
    """One worker's life, as far as its runner heard of it. Instants are monotonic."""

    epoch: int
    generation: int
    started: float
    pid: int = 0
    heard: float | None = None
    begun: bool = False
    ready: float | None = None
    progress: Any = None
    progressed: float | None = None
    rows_at: float | None = None
    lag_zero: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    def hear(self, figures: dict[str, Any] | None, now: float) -> None:
        """One line of the worker: figures, or none yet while it starts."""
        self.heard = now
        if figures is None:
            return
        # The last word of a worker that failed at its start is no work.
        self.begun = self.begun or "rows_total" in figures
        rows, lag = figures.get("rows_total") or 0, figures.get("lag")
        came = rows - (self.figures.get("rows_total") or 0)
        if came > 0:
            self.rows_at = now
        if figures.get(PROGRESS) != self.progress:
            self.progress, self.progressed = figures.get(PROGRESS), now
            self.ready = self.ready or (now if figures.get(READY, True) else None)
        # Under load some messages are always on their way: less than what comes in a second is nothing left over.
        if self.ready is not None and lag is not None and (lag == 0 or lag < came):
            self.lag_zero = now
        self.figures = figures

    def forgive(self, seconds: float) -> None:
        """The runner itself was stopped for so long and could hear nothing: that time counts for no silence."""
        self.started += seconds
        if self.heard is not None:
            self.heard += seconds
        if self.progressed is not None:
            self.progressed += seconds


class Cause(Enum):
    """What ended a worker's life."""

    STOP = auto()
    RESTART = auto()
    HUNG = auto()
    DIED = auto()


@dataclass(frozen=True)
class End:
    """What ended a worker's life, and since when it did no work."""

    cause: Cause
    since: float


@dataclass
class Outage:
    """Since when rows may be missing, why, and what is known of the way back."""

    since: float
    cause: str
    ends: int = 1
    rows_s: float | None = None


def hung(life: Life, settings: Settings, now: float) -> str | None:
    """Why a living worker counts as hung, or None."""
    if life.heard is None:
        silent, limit = now - life.started, settings.stream_start_s
    else:
        silent, limit = now - life.heard, settings.stream_hang_s
    if silent > limit:
        return f"no sign of life for {silent:.1f} s"
    if not life.begun and now - life.started > settings.stream_start_s:
        return f"it did not begin to work within {settings.stream_start_s:g} s"
    if life.progressed is not None and now - life.progressed > settings.stream_stall_s:
        return f"its work has stood still for {now - life.progressed:.0f} s"
    return None


def delay(ends: int, settings: Settings, jitter: float = 0.0) -> float:
    """Seconds to wait after this many unplanned ends in a row; `jitter` in [-1, 1] spreads them by a fifth."""
    longest = settings.stream_restart_max_s
    grown = min(longest, settings.stream_restart_min_s * 2.0 ** min(ends - 1, 30))
    return min(longest, grown * (1 + _JITTER * jitter))


class Runner:
    """Runs one stream until told to stop, or until it has another owner."""

    def __init__(self, name: str, settings: Settings, command: Sequence[str] | None = None) -> None:
        self.name = name
        self.settings = settings
        self._command = list(command or [sys.executable, "-m", "streaming", "work", name])
        self._ownership = Ownership(name, settings)
        self._database = asyncio.Lock()
        self._wake = asyncio.Event()
        self._control = Control()
        self._state = "stopped"
        self._life: Life | None = None
        self._last_error: str | None = None
        self._restarts = 0
        self._next_start = 0.0
        self._outage: Outage | None = None
        self._ending = False
        self._taken = False
        self._away = False
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)

    async def run(self) -> int:
        """Keep the stream as stream_control says; returns the exit status: 0 stopped, 75 another process owns it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        before = await self._take()
        if before is None:
            return 0 if self._ending else BUSY
        _log.info("runner_started", stream=self.name, epoch=before.epoch, desired=before.control.desired)
        self._resume(before)
        beating = asyncio.create_task(self._beat_forever(), name="heartbeat")
        beating.add_done_callback(self._heart_stopped)
        last = "failed"
        try:
            await self._outlive(before)
            await self._serve()
            last = "stopped"
        finally:
            beating.cancel()
            self._state, self._life = last, None
            await self._last_word()
        return BUSY if self._taken else 0

    # Owning the stream

    def _end(self) -> None:
        self._ending = True
        self._wake.set()

    async def _take(self) -> Before | None:
        while not self._ending:
            try:
                before = await self._ask(self._ownership.take)
            except psycopg.Error as error:
                self._complain(error)
                await self._pause(_BEAT_S)
                continue
            if before is None:
                _log.warning("stream_has_an_owner", stream=self.name)
            return before
        return None

    def _resume(self, before: Before) -> None:
        self._away = False
        self._control = before.control
        if before.state in {None, "stopped"}:
            return
        self._restarts = before.restarts
        silent_s = before.silent_s or 0.0
        how = "failed" if before.state == "failed" else "ended without a last word"
        reason = f"the runner before (pid {before.runner_pid}) {how}"
        detail = {"runner_pid": before.runner_pid, "state": before.state, "silent_s": round(silent_s, 1)}
        self._tell("taken_over", reason, detail)
        self._outage = Outage(time.monotonic() - silent_s, reason)

    async def _outlive(self, before: Before) -> None:
        """Wait for the end of the worker that the runner before left here; kill it when it does not end by itself."""
        left = self._orphan(before)
        if left is None:
            return
        _log.warning("waiting_for_orphan", stream=self.name, pid=left.pid)
        if not await _gone(left, _ORPHAN_S):
            _kill_group(left.pid)
            self._tell("killed", f"the orphan {left.pid} did not end within {_ORPHAN_S:g} s", {"pid": left.pid})
            await _gone(left, _ORPHAN_S)

    def _orphan(self, before: Before) -> KnownProcess | None:
        if before.pid is None or before.host != socket.gethostname():
            return None
        found = read_process(before.pid)
        words = " ".join([*self._command[1:], "--epoch", str(before.epoch)])
        return found if found is not None and found.command.endswith(words) else None

    # Keeping a worker

    async def _serve(self) -> None:
        while not (self._ending or self._taken):
            left = self._next_start - time.monotonic()
            if self._control.desired == "stopped":
                self._state = "stopped"
                self._next_start = 0.0
                await self._pause(None)
            elif left > 0:
                self._state = "restarting"
                await self._pause(left)
            else:
                await self._live()

    async def _live(self) -> None:
        """One worker from its start to its end."""
        self._state = "starting"
        generation = self._control.generation
        if not await self._claim(generation):
            await self._pause(_BEAT_S)
            return
        if self._ending:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command, "--epoch", str(self._ownership.epoch), stdin=theirs.fileno(), start_new_session=True
            )
        life = Life(self._ownership.epoch, generation, time.monotonic(), process.pid)
        self._life = life
        self._tell("started", "", {"pid": process.pid, "generation": generation, "restarts": self._restarts})
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_BYTES)
        listening = asyncio.create_task(self._listen(reader, life), name="listen")
        try:
            end = await self._until_its_end(process, life)
        finally:
            _kill_group(process.pid)
            await process.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listening, _LAST_WORD_S)  # what it said last
            writer.close()
        self._conclude(process, life, end)
        self._life = None

    async def _claim(self, generation: int) -> bool:
        try:
            claimed = await self._ask(lambda: self._ownership.claim(generation))
        except psycopg.errors.LockNotAvailable:
            _log.info("waiting_for_the_batch_before", stream=self.name, epoch=self._ownership.epoch)
            return False
        except psycopg.Error as error:
            self._complain(error)
            return False
        if not claimed:
            _log.warning("lock_is_held", stream=self.name)
        return claimed

    async def _listen(self, reader: asyncio.StreamReader, life: Life) -> None:
        with contextlib.suppress(OSError, ValueError):  # the worker is gone, or no worker of ours
            while line := await reader.readline():
                self._hear(life, json.loads(line))

    def _hear(self, life: Life, figures: dict[str, Any] | None) -> None:
        was_ready, now = life.ready, time.monotonic()
        life.hear(figures, now)
        if life.begun and self._state == "starting":
            self._state = "running"
        if life.ready is not None and was_ready is None:
            self._tell("ready", "", {"seconds": round(now - life.started, 2)})
        if life.begun:
            self._last_error = life.figures.get("last_error")
        if life.ready is not None and now - life.ready >= self.settings.stream_healthy_s:
            self._restarts = 0
        self._recover(life)

    def _recover(self, life: Life) -> None:
        outage = self._outage
        if outage is None or life.ready is None:
            return
        if outage.rows_s is None and life.rows_at is not None:
            outage.rows_s = round(life.rows_at - outage.since, 2)
        if life.lag_zero is None:
            return
        lag_zero_s = round(life.lag_zero - outage.since, 2)
        detail = {"rows_s": outage.rows_s, "lag_zero_s": lag_zero_s, "ends": outage.ends}
        self._tell("recovered", outage.cause, detail)
        self._outage = None

    async def _until_its_end(self, process: Process, life: Life) -> End:
        exited = asyncio.create_task(process.wait(), name="exit")
        looked = time.monotonic()
        try:
            while True:
                await asyncio.wait({exited}, timeout=_POLL_S)
                now = time.monotonic()
                if now - looked > _ABSENT_S:
                    life.forgive(now - looked)
                looked = now
                if exited.done():
                    return End(Cause.DIED, now)
                if self._ending or self._taken or self._control.desired == "stopped":
                    await self._stop(process, exited)
                    return End(Cause.STOP, now)
                if self._control.generation != life.generation:
                    await self._stop(process, exited)
                    return End(Cause.RESTART, now)
                reason = hung(life, self.settings, now)
                if reason is not None:
                    self._hang(process, life, reason)
                    return End(Cause.HUNG, life.heard or life.started)
        finally:
            exited.cancel()

    def _hang(self, process: Process, life: Life, reason: str) -> None:
        self._tell("hung", reason, {"uptime_s": round(time.monotonic() - life.started, 1)})
        self._last_error = reason
        # Who does not report does not stop gracefully either, and a stopped process takes no other signal.
        _kill_group(process.pid)
        self._tell("killed", reason, {"pid": process.pid})

    async def _stop(self, process: Process, exited: asyncio.Task[int]) -> None:
        """Ask the worker to end; kill it with all that it started when it does not within the bound."""
        self._state = "stopping"
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait({exited}, timeout=self.settings.stream_stop_s)
        if not exited.done():
            _kill_group(process.pid)
            reason = f"it did not end within {self.settings.stream_stop_s:g} s"
            self._tell("killed", reason, {"pid": process.pid})

    def _conclude(self, process: Process, life: Life, end: End) -> None:
        now = time.monotonic()
        uptime_s = round(now - life.started, 1)
        self._state = "stopped" if end.cause is Cause.STOP else "restarting"
        if end.cause in {Cause.STOP, Cause.RESTART}:
            self._tell("stopped", "", {"seconds": round(now - end.since, 2), "uptime_s": uptime_s})
            self._next_start = 0.0
            if end.cause is Cause.RESTART:
                self._interrupted(end.since, "a restart was asked for")
            return
        if end.cause is Cause.DIED:
            said = life.figures.get("last_error")
            self._last_error = _how(process.returncode) + (f": {said}" if said else "")
            self._tell("died", self._last_error, {**_status(process.returncode), "uptime_s": uptime_s})
        self._restarts += 1
        wait_s = delay(self._restarts, self.settings, random.uniform(-1, 1))  # noqa: S311 - not a secret
        self._next_start = now + wait_s
        self._interrupted(end.since, self._last_error or "")
        _log.warning("worker_ended", stream=self.name, reason=self._last_error, restarts=self._restarts, delay_s=wait_s)

    def _interrupted(self, since: float, cause: str) -> None:
        if self._outage is None:
            self._outage = Outage(since, cause)
        else:
            self._outage.ends += 1

    # Telling

    def _tell(self, event: str, reason: str, detail: dict[str, Any]) -> None:
        self._events.append(Event(datetime.now(UTC), event, self._ownership.epoch, reason, detail))
        _log.info(f"worker_{event}", stream=self.name, epoch=self._ownership.epoch, reason=reason, **detail)

    async def _beat_forever(self) -> None:
        while not self._taken:
            try:
                control = await self._beat()
            except psycopg.Error as error:
                self._complain(error)
            else:
                self._heed(control)
            await asyncio.sleep(_BEAT_S)

    def _heart_stopped(self, beating: asyncio.Task[None]) -> None:
        if not beating.cancelled() and (error := beating.exception()) is not None:
            _log.error("heartbeat_failed", stream=self.name, reason=repr(error))
            self._end()

    async def _beat(self) -> Control | None:
        state, vitals, figures, events = self._state, self._vitals(), self._figures(), list(self._events)

        def write() -> Control | None:
            control = self._ownership.beat(state, vitals, figures)
            for event in events if control is not None else ():
                self._ownership.write(event)
            return control

        control = await self._ask(write)
        for event in events:
            with contextlib.suppress(ValueError):  # pushed out by later ones
                self._events.remove(event)
        return control

    def _heed(self, control: Control | None) -> None:
        if self._away:
            self._away = False
            _log.info("database_is_back", stream=self.name)
        if control is None:
            _log.error("stream_taken_over", stream=self.name, epoch=self._ownership.epoch)
            self._taken = True
        elif control != self._control:
            if control.generation != self._control.generation:
                self._next_start = 0.0
                self._tell("restart_requested", "", {"generation": control.generation})
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
            instants = {
                "heartbeat_age": life.heard,
                "ready_age": life.ready,
                "progressed_age": life.progressed,
                "rows_age": life.rows_at,
                "lag_zero_age": life.lag_zero,
            }
            vitals |= {name: None if at is None else now - at for name, at in instants.items()} | {"pid": life.pid}
        return vitals

    def _figures(self) -> dict[str, Any]:
        figures = dict(self._life.figures) if self._life is not None else {}
        kept = {name: value for name, value in figures.items() if name not in {PROGRESS, READY}}
        return kept | {"last_error": self._last_error}

    async def _last_word(self) -> None:
        if self._taken:
            return
        try:
            await asyncio.wait_for(self._beat(), _LAST_WORD_S)
        except (psycopg.Error, TimeoutError) as error:
            self._complain(error)
        _log.info("runner_ended", stream=self.name, epoch=self._ownership.epoch, state=self._state)

    def _complain(self, error: Exception) -> None:
        if not self._away:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            _log.warning("database_is_away", stream=self.name, reason=reason)
        self._away = True

    # Waiting

    async def _pause(self, seconds: float | None) -> None:
        """Wait, but not longer than until something changes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()

    async def _ask(self, call: Callable[[], T]) -> T:
        """Ask the database beside the loop: one question at a time, and none that outlives the process.

        A thread that waits for a database that hangs must hold up neither supervision nor the end.
        """
        async with self._database:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()

            def settle(result: T | None, error: Exception | None) -> None:
                if not answer.done():
                    if error is not None:
                        answer.set_exception(error)
                    else:
                        answer.set_result(result)  # type: ignore[arg-type]

            def ask() -> None:
                try:
                    result, failure = call(), None
                except Exception as error:  # noqa: BLE001 - raised again in the loop
                    result, failure = None, error
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(settle, result, failure)

            threading.Thread(target=ask, name="database", daemon=True).start()
            return await answer


async def _gone(process: KnownProcess, within_s: float) -> bool:
    """Wait for the end of a process that is nobody's child."""
    deadline = time.monotonic() + within_s
    while process.alive():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _how(returncode: int | None) -> str:
    if returncode is None:
        return "ended"
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    return "ended by itself" if returncode == 0 else f"exit status {returncode}"


def _status(returncode: int | None) -> dict[str, Any]:
    return {"signal": -returncode} if returncode is not None and returncode < 0 else {"exit": returncode}


def run(name: str, settings: Settings, command: Sequence[str] | None = None) -> int:
    """Run stream `name` until SIGTERM or SIGINT; returns the exit status: 0 stopped, 75 another process owns it.

    `command` is the worker's, to which its epoch is added.
    """

    async def serve() -> int:
        return await Runner(name, settings, command).run()

    return asyncio.run(serve())
