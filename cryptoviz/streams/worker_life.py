"""What a runner knows of its worker: when it last reported, whether it hangs, how it ended, how long to wait.

Decisions only: no process is touched and no clock is read. Instants are monotonic seconds.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from cryptoviz.remote.backoff import Backoff
from cryptoviz.settings import Settings
from cryptoviz.streams.progress import PROGRESS, READY


@dataclass
class WorkerLife:
    """One worker, from what its runner received from it. Instants are monotonic; None: it has not happened yet."""

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
        """Take in one line of the worker: its figures, or None while it starts."""
        self.heard = now
        if figures is None:
            return
        # A worker that fails at its start sends only its error: it has done no work.
        self.begun = self.begun or "rows_total" in figures
        rows, lag = figures.get("rows_total") or 0, figures.get("lag")
        new_rows = rows - (self.figures.get("rows_total") or 0)
        if new_rows > 0:
            self.rows_at = now
        if figures.get(PROGRESS) != self.progress:
            self.progress, self.progressed = figures.get(PROGRESS), now
            self.ready = self.ready or (now if figures.get(READY, True) else None)
        # Under load some messages are always on their way: a lag below the rows of one second counts as none.
        if self.ready is not None and lag is not None and (lag == 0 or lag < new_rows):
            self.lag_zero = now
        self.figures = figures

    def ages(self, now: float) -> dict[str, float | None]:
        """Seconds since each instant, under the names of the heartbeat's parameters."""
        instants = {
            "heartbeat_age": self.heard,
            "ready_age": self.ready,
            "progressed_age": self.progressed,
            "rows_age": self.rows_at,
            "lag_zero_age": self.lag_zero,
        }
        return {name: None if instant is None else now - instant for name, instant in instants.items()}

    def ignore_absence(self, seconds: float) -> None:
        """Do not count a time in which the runner itself was suspended, and could receive nothing, as silence."""
        self.started += seconds
        if self.heard is not None:
            self.heard += seconds
        if self.progressed is not None:
            self.progressed += seconds


class EndCause(Enum):
    """Why a worker ended."""

    STOP = auto()
    RESTART = auto()
    HUNG = auto()
    DIED = auto()


@dataclass(frozen=True)
class WorkerEnd:
    """Why a worker ended, and the instant since when it did no work."""

    cause: EndCause
    since: float


@dataclass
class Outage:
    """A time in which rows may be late: its begin and cause, the workers that ended in it, the seconds to new rows."""

    since: float
    cause: str
    ends: int = 1
    rows_s: float | None = None


def hang_reason(life: WorkerLife, settings: Settings, now: float) -> str | None:
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


def restart_backoff(settings: Settings) -> Backoff:
    """How long to wait after unplanned ends in a row before the worker is started again."""
    return Backoff(settings.stream_restart_min_s, settings.stream_restart_max_s)


def exit_reason(returncode: int | None) -> str:
    """How a process ended, in words."""
    if returncode is None:
        return "ended"
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    return "ended by itself" if returncode == 0 else f"exit status {returncode}"


def exit_status(returncode: int | None) -> dict[str, Any]:
    """How a process ended, as the detail of an event."""
    return {"signal": -returncode} if returncode is not None and returncode < 0 else {"exit": returncode}
