"""The code server. Its runs begin as copies of a process that has loaded what most of them need.

    code server --the first run--> a process that loads, connects to nothing --fork--> one process for each run

Dagster would start Python anew for each run: with Great Expectations that costs five CPU-seconds before it does
anything. Code that changed is run after a restart of the code server.
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any, Final

from dagster._cli import main
from dagster._grpc import server

LOADED: Final = ["dagster_project.loaded"]
"""Where it cannot be loaded, runs load it themselves."""


class Server(server.DagsterApiServer):
    """Dagster's, with another way to start a process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        self._mp_ctx = context


if __name__ == "__main__":
    # Dagster makes it by this name.
    server.DagsterApiServer = Server  # type: ignore[misc]
    sys.argv[1:1] = ["api", "grpc"]
    main()  # type: ignore[no-untyped-call]
