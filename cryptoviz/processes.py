"""The processes that belong to a stack, found without trusting pid files: by a marker in their environment.

CRYPTOVIZ_STACK=<state dir> in /proc/<pid>/environ, or a PostgreSQL process whose working folder is the stack's data
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARKER: Final = "CRYPTOVIZ_STACK"
_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"


@dataclass(frozen=True)
class Process:
    """A process of this machine. `started` (clock ticks since boot) tells it from a later one with the same pid."""

    pid: int
    parent: int
    started: int
    command: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        now = read_process(self.pid)
        return now is not None and now.started == self.started


def read_process(pid: int) -> Process | None:
    """The process with this pid, unless there is none or it is a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        command = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    # The name, in parentheses, may itself hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Process(pid, int(fields[1]), int(fields[19]), command)


def members(state: Path, data_dir: Path | None = None) -> list[Process]:
    """Every process of the stack with this state folder, oldest first; never the calling one.

    `data_dir` is the stack's PostgreSQL folder: a PostgreSQL process overwrites its environment and is known by its
    working folder instead.
    """
    marker = f"{MARKER}={state}".encode()
    found = [
        process
        for pid in _pids()
        if pid != os.getpid()
        and (_has_marker(pid, marker) or (data_dir is not None and works_in(pid, data_dir)))
        and (process := read_process(pid)) is not None
    ]
    return sorted(found, key=lambda process: process.started)


def family(pid: int) -> set[int]:
    """`pid` and every process below it now."""
    return descendants(pid, [process for number in _pids() if (process := read_process(number)) is not None])


def descendants(pid: int, among: Iterable[Process]) -> set[int]:
    """`pid` and those below it."""
    family, grew = {pid}, True
    processes = list(among)
    while grew:
        below = {process.pid for process in processes if process.parent in family}
        grew = not below <= family
        family |= below
    return family


def thread_seconds(pid: int) -> dict[int, float]:
    """Seconds of processor time that each thread of a process has used, by thread id; empty where nobody can tell."""
    found = {}
    with contextlib.suppress(OSError):
        for entry in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def stop(processes: Iterable[Process], timeout_s: float = 10) -> None:
    """Ask processes to stop, wait, and kill those that stay; PostgreSQL is asked for its fast shutdown."""
    waiting = list(processes)
    for process in waiting:
        _signal(process, signal.SIGINT if "/postgres " in process.command else signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = [process for process in waiting if process.alive()]
    for process in waiting:
        _signal(process, signal.SIGKILL)
    while any(process.alive() for process in waiting) and time.monotonic() < deadline + timeout_s:
        time.sleep(0.02)


def listener(port: int) -> Process | None:
    """The process that listens on a TCP port of this machine, if this user may know."""
    inodes = set(_listening_inodes(port))
    return next((read_process(pid) for pid in _pids() if inodes & _sockets(pid)), None) if inodes else None


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _signal(process: Process, number: signal.Signals) -> None:
    if process.alive():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def _pids() -> Iterator[int]:
    if _PROC.exists():
        yield from (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _has_marker(pid: int, marker: bytes) -> bool:
    try:
        return marker in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def works_in(pid: int, folder: Path) -> bool:
    """Whether a process works in `folder`, as a PostgreSQL server and its children do in their data."""
    try:
        return (_PROC / str(pid) / "cwd").readlink() == folder
    except OSError:  # gone, a zombie, or somebody else's
        return False


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _sockets(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
