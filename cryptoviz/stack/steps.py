"""Steps that depend on each other, run at the same time where they may, each reported with its duration.

Step(name, run, after) -> one daemon thread each, started when all of `after` are done -> Done(name, note, seconds)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from cryptoviz.stack.errors import StackError

POLL_S: Final = 0.1


@dataclass(frozen=True)
class Step:
    """`run` returns a note for the progress line. It should look at `Cancelled` while it waits."""

    name: str
    run: Callable[[threading.Event], str]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """A step that ended well."""

    name: str
    note: str
    seconds: float


class StepError(StackError):
    """A step failed; `step` names it."""

    def __init__(self, step: str, error: Exception) -> None:
        detail, fix = (error.detail, error.fix) if isinstance(error, StackError) else ("", "")
        message = str(error) if isinstance(error, StackError) else f"{type(error).__name__}: {error}"
        super().__init__(message, detail=detail, fix=fix)
        self.step = step


def run(steps: Sequence[Step], report: Callable[[Done], None]) -> None:
    """Run every step; names in `after` that are not among the steps count as done.

    Raises:
        StepError: a step failed; the others are told to give up and are not waited for.
    """
    names = {step.name for step in steps}
    waiting, done, under_way = list(steps), set[str](), 0
    cancelled = threading.Event()
    ended: SimpleQueue[tuple[Step, Done | Exception]] = SimpleQueue()
    while waiting or under_way:
        ready = [step for step in waiting if not (set(step.after) & names) - done]
        for step in ready:
            threading.Thread(target=_run, args=(step, cancelled, ended), name=step.name, daemon=True).start()
        waiting = [step for step in waiting if step not in ready]
        under_way += len(ready)
        if not under_way:
            raise ValueError(f"steps wait for each other: {', '.join(step.name for step in waiting)}")
        try:
            step, outcome = ended.get()
        except KeyboardInterrupt:
            cancelled.set()
            raise
        under_way -= 1
        if isinstance(outcome, Exception):
            cancelled.set()
            raise StepError(step.name, outcome) from outcome
        done.add(step.name)
        report(outcome)


def _run(step: Step, cancelled: threading.Event, ended: SimpleQueue[tuple[Step, Done | Exception]]) -> None:
    begun = time.monotonic()
    try:
        note = step.run(cancelled)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs to the main thread
        ended.put((step, error))
    else:
        ended.put((step, Done(step.name, note, time.monotonic() - begun)))


def wait_until(
    condition: Callable[[], bool], cancelled: threading.Event, timeout_s: float, *, poll_s: float = POLL_S
) -> bool:
    """Wait until a condition holds; False after `timeout_s` seconds or when cancelled."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline or cancelled.wait(poll_s):
            return False
    return True
