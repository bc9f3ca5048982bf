"""The processes of workers: kill one with all that it started, find one that an earlier runner left, await its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Sequence

from cryptoviz.processes import Process, read_process
from cryptoviz.streams.ownership import PreviousRun


def kill_group(pid: int) -> None:
    """Kill a worker and everything that it started; it leads a process group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def find_orphan(previous: PreviousRun, command: Sequence[str]) -> Process | None:
    """The worker of the previous runner, if it still runs on this machine; `command` is what starts workers."""
    if previous.pid is None or previous.host != socket.gethostname():
        return None
    process = read_process(previous.pid)
    arguments = " ".join([*command[1:], "--epoch", str(previous.epoch)])
    return process if process is not None and process.command.endswith(arguments) else None


async def ended_within(process: Process, seconds: float) -> bool:
    """Wait for the end of a process that is no child of ours; False when it still runs after so long."""
    deadline = time.monotonic() + seconds
    while process.alive():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
