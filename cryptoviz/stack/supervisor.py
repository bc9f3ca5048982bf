"""The process supervisor (supervisor from PyPI): its configuration, and a client that speaks to it over a socket.

    services -> programs -> <state>/run/supervisord.conf (0600) -> supervisord -> starts, restarts, log files

Nothing starts by itself: `cryptoviz.stack.start` starts programs in order and waits for their health. From then on
supervisord brings back what dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, cast
from xmlrpc.client import Error, Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from cryptoviz.processes import MARKER
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Settings
from cryptoviz.stack.errors import StackError, last_lines
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.stack.postgres.cluster import LocalPostgres
from cryptoviz.stack.services import PYTHON, Service, log_folder, services

_LONGEST_SOCKET_PATH: Final = 100
_START_TIMEOUT_S: Final = 20
_LOG_BYTES: Final = "20MB"
_LOG_BACKUPS: Final = 2
_RPC_ERRORS: Final = (OSError, Error, HTTPException)


@dataclass(frozen=True)
class Program:
    """What supervisord must know of one process."""

    name: str
    command: list[str]
    priority: int
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_group: bool = False
    stop_wait_s: int = 15
    folder: Path = PROJECT_ROOT


def programs(settings: Settings, postgres: LocalPostgres | None, kafka: LocalKafka | None) -> list[Program]:
    """Every process of the stack, in the order of starting."""
    marked = {MARKER: str(settings.state)}
    found: list[Program] = []
    if postgres is not None:
        found.append(
            Program(
                "postgres",
                postgres.command,
                10,
                marked | {"PGDATA_VERSION": _digest(str(settings.postgres_port))},
                stop_signal="INT",
                stop_wait_s=60,
                folder=postgres.data_dir,
            )
        )
    if kafka is not None:
        version = _digest((kafka.folder / "server.properties").read_text())
        found.append(Program("kafka", kafka.command(), 20, marked | {"KAFKA_CONFIGURATION": version}, stop_wait_s=30))
    ours = marked | _environment(settings)
    for place, service in enumerate(services(settings)):
        found.append(_program(service, settings, ours, 30 + place))
    return found


def _program(service: Service, settings: Settings, environment: Mapping[str, str], priority: int) -> Program:
    return Program(
        service.name,
        [sys.executable if word == PYTHON else word for word in service.command(settings)],
        priority,
        {**environment, **service.environment(settings)},
        stop_group=service.stop_group,
        stop_wait_s=service.stop_wait_s,
    )


def _environment(settings: Settings) -> dict[str, str]:
    """The variables that give a child these settings; a change of any of them restarts it at the next start."""
    given = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return given | {
        f"{PREFIX}MODE": str(settings.mode),
        f"{PREFIX}STATE_DIR": str(settings.state),
        "CRYPTOVIZ_SETTINGS": _digest(*(_plain(getattr(settings, name)) for name in type(settings).model_fields)),
        "PYTHONUNBUFFERED": "1",
    }


def _plain(value: Any) -> str:
    return str(value.get_secret_value()) if hasattr(value, "get_secret_value") else str(value)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def configuration(settings: Settings, wanted: list[Program]) -> str:
    """The text of supervisord.conf. It holds passwords (Dagster's): write it for the owner's eyes only."""
    run = settings.state / "run"
    sections = [
        _section("unix_http_server", {"file": str(socket_path(settings)), "chmod": "0700"}),
        _section(
            "supervisord",
            {
                "logfile": str(log_folder(settings) / "supervisord.log"),
                "logfile_maxbytes": _LOG_BYTES,
                "logfile_backups": str(_LOG_BACKUPS),
                "pidfile": str(run / "supervisord.pid"),
                "childlogdir": str(log_folder(settings)),
                "directory": str(PROJECT_ROOT),
                "identifier": "cryptoviz",
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_section(f"program:{program.name}", _options(program, settings)) for program in wanted),
    ]
    return "\n".join(sections)


def _options(program: Program, settings: Settings) -> dict[str, str]:
    return {
        "command": _words(program.command),
        "directory": str(program.folder),
        "priority": str(program.priority),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "1000",
        "stopsignal": program.stop_signal,
        "stopasgroup": str(program.stop_group).lower(),
        "killasgroup": "true",
        "stopwaitsecs": str(program.stop_wait_s),
        "redirect_stderr": "true",
        "stdout_logfile": str(log_folder(settings) / f"{program.name}.log"),
        "stdout_logfile_maxbytes": _LOG_BYTES,
        "stdout_logfile_backups": str(_LOG_BACKUPS),
        "environment": ",".join(f"{name}={_value(value)}" for name, value in sorted(program.environment.items())),
    }


def _section(name: str, options: Mapping[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in options.items()), ""])


def _words(command: list[str]) -> str:
    return " ".join(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    """A word for supervisord, which splits like a shell, drops what follows `` ;`` and expands ``%(name)s``."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _value(text: str) -> str:
    """A value for supervisord's `environment`, which knows quotes but no escapes."""
    for quote in ('"', "'"):
        if quote not in text and "\n" not in text and text[:1] + text[-1:] == (text[:1] + text[-1:]).strip("'\""):
            return f"{quote}{text.replace('%', '%%')}{quote}"
    raise StackError("a setting holds a line break, or quotes where supervisord drops them", fix="write it without")


def socket_path(settings: Settings) -> Path:
    """Where supervisord listens: in the state folder, or in a private folder beside it when that path is too long."""
    path = settings.state / "run" / "supervisor.sock"
    if len(str(path)) <= _LONGEST_SOCKET_PATH:
        return path
    folder = Path(tempfile.gettempdir()) / f"cryptoviz-{os.getuid()}-{_digest(str(settings.state))}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise StackError(
            f"{folder} belongs to somebody else", fix=f"remove it, or set {PREFIX}STATE_DIR to a short path"
        )
    return folder / "supervisor.sock"


@dataclass(frozen=True)
class ProgramState:
    """The state of a process as supervisord reports it. `started` is seconds since the epoch, 0 when never started."""

    name: str
    state: str
    pid: int
    started: int

    @property
    def running(self) -> bool:
        """Whether supervisord has it running or is starting it."""
        return self.state in {"RUNNING", "STARTING", "BACKOFF"}


class Supervisor:
    """The stack's supervisord. Every method copes with its being away except those that say they raise."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.state / "run"

    @property
    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{socket_path(self._settings)}")
        return cast("Any", ServerProxy("http://127.0.0.1", transport=transport)).supervisor

    def pid(self) -> int | None:
        """The supervisord that answers, or None."""
        try:
            return int(self._rpc.getPID())
        except _RPC_ERRORS:
            return None

    def states(self) -> dict[str, ProgramState]:
        """Every process by name; empty when supervisord is away."""
        try:
            processes = self._rpc.getAllProcessInfo()
        except _RPC_ERRORS:
            return {}
        return {
            process["name"]: ProgramState(process["name"], process["statename"], process["pid"], process["start"])
            for process in processes
        }

    def apply(self, wanted: list[Program]) -> list[str]:
        """Start supervisord with `wanted`, or change the running one to it.

        What changed is stopped, to be started anew; returns the names of those processes.

        Raises:
            StackError: supervisord did not start or refused.
        """
        self._write(configuration(self._settings, wanted))
        if self.pid() is None:
            self._launch()
            return []
        try:
            return self._change()
        except _RPC_ERRORS as error:
            raise StackError(
                "the supervisor refused its new configuration", detail=str(error), fix="make down"
            ) from error

    def start(self, name: str) -> None:
        """Start a process unless it runs.

        Raises:
            StackError: supervisord is away or cannot start it.
        """
        try:
            self._rpc.startProcess(name, False)
        except Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"{name} could not be started: {fault.faultString}") from fault
        except _RPC_ERRORS as error:
            raise StackError("the supervisor went away", detail=str(error), fix="start again") from error

    def stop(self, names: list[str], timeout_s: float = 90) -> None:
        """Stop processes, all at once, and wait until they have."""
        for name in names:
            with contextlib.suppress(*_RPC_ERRORS):
                self._rpc.stopProcess(name, False)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and any(
            state.name in names and state.state in {"RUNNING", "STARTING", "STOPPING", "BACKOFF"}
            for state in self.states().values()
        ):
            time.sleep(0.05)

    def shutdown(self, timeout_s: float = 120) -> None:
        """Stop supervisord with all that is left, and wait until it has."""
        with contextlib.suppress(*_RPC_ERRORS):
            self._rpc.shutdown()
        deadline = time.monotonic() + timeout_s
        while self.pid() is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _write(self, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / "supervisord.conf.new"
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(text)
        partial.replace(self._folder / "supervisord.conf")

    def _launch(self) -> None:
        log_folder(self._settings).mkdir(parents=True, exist_ok=True)
        socket_path(self._settings).unlink(missing_ok=True)
        plain = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._folder / "supervisord.conf")]
        # In a session of its own, and daemonised by itself: Ctrl-C of `make up` must not reach it.
        done = subprocess.run(
            command,
            env=plain | {MARKER: str(self._settings.state)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            check=False,
            timeout=_START_TIMEOUT_S,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.pid() is None:
            if done.returncode != 0 or time.monotonic() > deadline:
                log = log_folder(self._settings) / "supervisord.log"
                text = done.stdout + done.stderr + (log.read_text(errors="replace") if log.exists() else "")
                raise StackError("the supervisor did not start", detail=last_lines(text), fix=f"see {log}")
            time.sleep(0.02)

    def _change(self) -> list[str]:
        added, changed, removed = self._rpc.reloadConfig()[0]
        before = self.states()
        stale = [name for name in (*changed, *removed) if name in before]
        self.stop(stale)
        for name in stale:
            self._rpc.removeProcessGroup(name)
        for name in (*added, *changed):
            self._rpc.addProcessGroup(name)
        return [name for name in stale if before[name].running]
