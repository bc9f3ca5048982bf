"""The platform's own processes under a test's control: started with settings, killed, started again, and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cryptoviz.processes import family
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Settings

COMMANDS = {
    "simulators": ["-m", "simulators"],
    "ingestion": ["-m", "streaming", "run", "ingestion"],
    "collector_kraken": ["-m", "streaming", "run", "collector_kraken"],
    "collector_binance": ["-m", "streaming", "run", "collector_binance"],
}


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process exactly these settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, list):
            value = ",".join(value)
        if value is not None and value != "":
            plain[PREFIX + name.upper()] = str(value)
    return plain


def kill_tree(pid: int) -> None:
    """kill -9 of a process and then of all that it started."""
    for member in [pid, *sorted(family(pid) - {pid})]:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


class Platform:
    """Processes of one platform. Whatever was started is killed by `close`, by its own id."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        self.settings = settings
        self.logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            with (self.logs / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, *COMMANDS[name]],
                    cwd=PROJECT_ROOT,
                    env=environment(self.settings),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def kill(self, name: str) -> None:
        """kill -9 of the process and of what it started: a runner's worker, a Spark driver's JVM."""
        process = self._running.pop(name)
        kill_tree(process.pid)
        process.wait(30)

    def terminate(self, name: str, within: float = 60) -> int:
        """Ask the process to stop and return its exit status."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(within)

    def close(self) -> None:
        for name in list(self._running):
            self.kill(name)

    def log(self, name: str, lines: int = 30) -> str:
        path = self.logs / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Ask the simulators something (GET), or tell them (POST with a JSON body, or another method)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.settings.simulator_port}/control/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait(self, what: str, condition: Callable[[], bool], within: float) -> None:
        """Wait until `condition` holds; fail with the processes' last log lines when it does not within that time."""
        deadline = time.monotonic() + within
        while not self._holds(condition):
            dead = [name for name, process in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n\n".join(f"--- {name}\n{self.log(name)}" for name in COMMANDS)
                reason = f"{', '.join(dead)} ended" if dead else f"not within {within} s"
                raise AssertionError(f"{what}: {reason}\n{logs}")
            time.sleep(0.2)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:
            return False
