"""The code server. Its runs begin as copies of a process that has loaded what most of them need.

    code server --> a process that loads, and connects to nothing --fork--> one process for each run

Dagster would start Python anew for each run: with Great Expectations that costs five CPU-seconds before it does
anything. Code that changed is run after a restart of the code server.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any, Final

from dagster._cli import main
from dagster._grpc import server

LOADED: Final = ["dagster_project.preload"]
_UNKNOWN: Final = 255
"""How a process ended that nobody is there to tell of."""


class Run(ForkServerProcess):
    """A run, which may outlive the process that it is a copy of."""

    def is_alive(self) -> bool:
        """Whether it is at work."""
        return super().is_alive() or (self.exitcode == _UNKNOWN and self.pid is not None and _at_work(self.pid))


def _at_work(pid: int) -> bool:
    try:
        # Whose parent has died is, in a container, the first process's child: this one's.
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Server(server.DagsterApiServer):
    """Dagster's, with another way to start a process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        context: Any = multiprocessing.get_context("forkserver")
        context.Process = Run
        context.set_forkserver_preload(LOADED)
        forkserver.ensure_running()
        self._mp_ctx = context


if __name__ == "__main__":
    # Dagster makes it by this name.
    server.DagsterApiServer = Server  # type: ignore[misc]
    sys.argv[1:1] = ["api", "grpc"]
    main()  # type: ignore[no-untyped-call]
