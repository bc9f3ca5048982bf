"""Processes at a part of their speed, on any machine and without privileges: stopped and continued in turns.

A cgroup would need root and a hierarchy that differs from machine to machine; a competing load depends on the cores.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CYCLE_S = 0.2
_LOOK_AFTER_CYCLES = 3


@contextmanager
def throttled(members: Callable[[], set[int]], share: float = 0.2) -> Iterator[None]:
    """While this lasts the processes run for `share` of the time; new ones are found within a second."""
    over = threading.Event()

    def send(number: signal.Signals, pids: set[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def turn() -> None:
        while not over.is_set():
            pids = members()
            for _ in range(_LOOK_AFTER_CYCLES):
                send(signal.SIGSTOP, pids)
                over.wait(_CYCLE_S * (1 - share))
                send(signal.SIGCONT, pids)
                over.wait(_CYCLE_S * share)

    turning = threading.Thread(target=turn, name="throttle", daemon=True)
    turning.start()
    try:
        yield
    finally:
        over.set()
        turning.join()
