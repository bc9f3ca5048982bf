"""A local stack of its own, made by `make demo`'s command, with every process within reach.

supervisord -> runner -> worker -> JVM          (streams)
            -> postgres, kafka, Dagster's three (everything else)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptoviz.processes import Process, descendants, members
from cryptoviz.settings import PROJECT_ROOT, Mode, Settings, load
from cryptoviz.stack.postgres.service_user import local_data_dir
from cryptoviz.stack.services import log_folder
from cryptoviz.stack.start import local_kafka
from cryptoviz.stack.stop import down
from cryptoviz.stack.supervisor import Supervisor
from tests.conftest import free_ports
from tests.e2e.platform import Platform, environment

_DEMO_S = 600
_STATUS_S = 60
_PORTS = (
    "postgres_port",
    "kafka_port",
    "kafka_controller_port",
    "dagster_port",
    "dagster_code_port",
    "simulator_port",
    "web_simulator_port",
    "reports_port",
)
_DOWNLOADS = ("jars", "cache")


class LocalStack:
    """The whole platform on simulated exchanges, its state in `folder`; downloads are shared with this checkout."""

    def __init__(self, folder: Path, simulator_rate: float) -> None:
        self._changes: dict[str, Any] = {
            "mode": Mode.DEMO,
            "state_dir": folder,
            "simulator_rate": simulator_rate,
            # Today's day alone, which has not ended: the load is the live one.
            **dict.fromkeys(("history", "kraken_history"), "1d:1d"),
            "database_url": None,
            "database_writer_url": None,
            "database_reader_url": None,
            "dagster_database_url": None,
            "kafka_bootstrap_servers": "",
            "checkpoint_dir": "",
            **dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)),
        }
        for name in _DOWNLOADS:
            shared = load().state / name
            shared.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(shared)
        self.settings: Settings = load(**self._changes)
        self.supervisor = Supervisor(self.settings)
        self.kafka = local_kafka(self.settings)
        self.platform = Platform(self.settings, log_folder(self.settings))

    def up(self) -> None:
        """Start everything, as a user would, and return when rows flow."""
        done = self._cryptoviz("demo", within=_DEMO_S)
        assert done.returncode == 0, done.stdout + done.stderr
        self.settings = load(**self._changes)  # with the passwords that were made
        self.platform.settings = self.settings

    def status(self) -> subprocess.CompletedProcess[str]:
        """What `make status` says."""
        return self._cryptoviz("status", within=_STATUS_S)

    def down(self) -> None:
        """Stop everything, whatever was killed or stopped before; no process stays."""
        self.resume(process.pid for process in self.members())
        down(self.settings)

    def _cryptoviz(self, word: str, within: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cryptoviz.cli", word],
            cwd=PROJECT_ROOT,
            env=environment(self.settings),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=within,
            check=False,
        )

    # Processes

    def members(self) -> list[Process]:
        """Every process of the stack."""
        return members(self.settings.state, local_data_dir(self.settings.state))

    def pid(self, part: str) -> int | None:
        """The process that supervisord keeps for a part."""
        state = self.supervisor.states().get(part)
        return state.pid if state is not None and state.state == "RUNNING" else None

    def family(self, part: str) -> list[Process]:
        """The process of a part and all that it started, itself first."""
        return self._below(self.pid(part))

    def worker(self, part: str) -> list[Process]:
        """The worker of a stream and all that it started, itself first; empty while there is none."""
        runner = self.pid(part)
        every = self.members()
        worker = next((process.pid for process in every if runner is not None and process.parent == runner), None)
        return self._below(worker, every)

    def _below(self, pid: int | None, every: list[Process] | None = None) -> list[Process]:
        if pid is None:
            return []
        every = self.members() if every is None else every
        family = descendants(pid, every)
        return sorted((one for one in every if one.pid in family), key=lambda one: (one.pid != pid, one.started))

    def resume(self, pids: Iterable[int]) -> None:
        """SIGCONT, for those that are still there."""
        send(pids, signal.SIGCONT)

    def log(self, part: str, lines: int = 25) -> str:
        """The last words of a part."""
        return self.platform.log(part, lines)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """A signal to each of these processes that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
