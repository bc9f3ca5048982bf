"""The worker of one stream: runs the job in this process, reports its figures to the runner, ends in good order.

    runner --(socket on standard input)--> worker: end of file means that the runner is gone
    worker --(one JSON line a second)----> runner: figures, which also prove that the job is alive

A line is sent only when the job's own loop has reported since the last line: a thread that sends heartbeats beside a
job that hangs would prove nothing. Before the first report, while Spark starts, the process alone sends them. The job
never waits for the runner: a line that does not fit into the socket is sent later, or replaced by newer figures.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg

from cryptoviz.logs import logger
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query
from cryptoviz.streams.progress import ReportFigures

_BEAT_S: Final = 1.0
_EPOCH_S: Final = 5.0
_LAST_WORD_S: Final = 1.0

Job = Callable[[Settings, int, threading.Event, ReportFigures], None]
"""The work of a stream. It gets the settings, its epoch, the event that stops it, and a function for its figures."""

_log = logger(__name__)


class RunnerChannel:
    """The worker's end of the line to its runner. When the runner is gone it sets `stop` and kills a job that hangs."""

    def __init__(self, line: socket.socket, stop: threading.Event, patience_s: float) -> None:
        self._line = line
        self._line.setblocking(False)
        self._stop = stop
        self._patience_s = patience_s
        self._figures: dict[str, Any] | None = None
        self._fresh = True
        self._unsent = b""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="channel", daemon=True)

    def start(self) -> None:
        """Begin to send figures."""
        self._thread.start()

    def report(self, figures: dict[str, Any]) -> None:
        """Take the figures of one round of the job's loop. Never waits."""
        self._figures = figures
        self._fresh = True

    def close(self, error: str | None = None) -> None:
        """Send the last figures, with the error of a job that failed, and stop."""
        self._over.set()
        self._thread.join(_LAST_WORD_S + _BEAT_S)
        if error is not None:
            self._figures = (self._figures or {}) | {"last_error": error}
        self._line.settimeout(_LAST_WORD_S)
        with contextlib.suppress(OSError):
            self._line.sendall(self._unsent + self._line_of_figures())

    def _run(self) -> None:
        while not self._over.is_set():
            if self._fresh:
                self._fresh = self._figures is None
                self._send()
            readable, _, _ = select.select([self._line], [], [], _BEAT_S)
            if readable and self._gone():
                _log.warning("runner_is_gone")
                self._stop.set()
                self._kill_if_it_hangs()
                return

    def _gone(self) -> bool:
        try:
            return not self._line.recv(1024)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # the line is full, or closed: the next round deals with it
            if not self._unsent:
                self._unsent = self._line_of_figures()
            while self._unsent:
                self._unsent = self._unsent[self._line.send(self._unsent) :]

    def _line_of_figures(self) -> bytes:
        return json.dumps(self._figures, default=str).encode() + b"\n"

    def _kill_if_it_hangs(self) -> None:
        """Kill this process, with all that it started, when the job has not ended within the patience."""
        if not self._over.wait(self._patience_s):
            _log.error("killed_by_itself", patience_s=self._patience_s)
            if os.getpgrp() == os.getpid():
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def _watch_epoch(settings: Settings, name: str, epoch: int, stop: threading.Event) -> None:
    """Stop the job once another worker has begun: it may be on a machine that this one's runner cannot see."""
    while not stop.wait(_EPOCH_S):
        with (
            contextlib.suppress(psycopg.Error),
            connect(Role.READER, settings, application_name=f"epoch_{name}") as connection,
        ):
            row = connection.execute(query("stream_epoch"), {"name": name}).fetchone()
            if row is not None and row[0] > epoch:
                _log.error("stream_taken_over", stream=name, epoch=epoch, by=row[0])
                stop.set()


def work(name: str, epoch: int, settings: Settings, job: Job) -> None:
    """Run a stream's job in this process until SIGTERM, the end of the runner or the end of the epoch.

    Standard input is the line to the runner. Raises whatever the job raises.
    """
    line = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, for its descriptor
        os.dup2(nothing.fileno(), 0)  # what the job starts must not hold the line
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    channel = RunnerChannel(line, stop, settings.stream_stop_s)
    channel.start()
    threading.Thread(target=_watch_epoch, args=(settings, name, epoch, stop), name="epoch", daemon=True).start()
    _log.info("worker_started", stream=name, epoch=epoch)
    try:
        job(settings, epoch, stop, channel.report)
    except BaseException as error:
        channel.close(_reason(error))
        raise
    channel.close()
    _log.info("worker_ended", stream=name, epoch=epoch)


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__
