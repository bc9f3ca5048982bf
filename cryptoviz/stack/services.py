"""The one list of long-running processes: the supervisor's configuration and docker-compose.yml are both made from it.

Service(name, command, after, ...) -> supervisord.conf (cryptoviz.stack.supervisor)
                                   -> docker-compose.yml (cryptoviz.stack.compose)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from cryptoviz.settings import Mode, Settings
from cryptoviz.stack import dagster

PYTHON: Final = "python"
"""Stands for the interpreter at the start of a command."""

_FIRST_BATCH_S: Final = 240
_DAGSTER_LOAD_S: Final = 300


@dataclass(frozen=True)
class Service:
    """One process of ours. `command` starts with `PYTHON`; `ports` are the settings of the ports it listens on."""

    name: str
    summary: str
    command: Callable[[Settings], list[str]]
    after: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    modes: frozenset[Mode] = frozenset(Mode)
    environment: Callable[[Settings], dict[str, str]] = lambda _settings: {}
    stream: str | None = None
    stop_group: bool = False
    stop_wait_s: int = 15
    start_timeout_s: int = 180


def _python(*arguments: str) -> Callable[[Settings], list[str]]:
    return lambda _settings: [PYTHON, "-m", *arguments]


def _dagster(name: str) -> Callable[[Settings], list[str]]:
    return lambda settings: [PYTHON, *dagster.commands(settings)[name][1:]]


def _stop_wait_s(settings: Settings) -> int:
    """A runner needs the time of its worker, and a moment of its own."""
    return ceil(settings.stream_stop_s) + 10


def _collector(exchange: str, settings: Settings) -> Service:
    return Service(
        f"collector-{exchange}",
        f"collects from {exchange}",
        _python("streaming", "run", f"collector_{exchange}"),
        after=("postgres", "kafka", "simulators"),
        stream=f"collector_{exchange}",
        stop_wait_s=_stop_wait_s(settings),
    )


def services(settings: Settings) -> list[Service]:
    """What runs with these settings, in the order of starting; PostgreSQL and Kafka are not in it."""
    every = [
        Service(
            "simulators",
            "the simulated exchanges",
            _python("simulators"),
            ports=("simulator_port",),
            modes=frozenset({Mode.DEMO}),
        ),
        Service(
            "simulated-web",
            "the simulated news sites and market APIs",
            _python("simulators.web"),
            ports=("web_simulator_port",),
            modes=frozenset({Mode.DEMO}),
        ),
        Service(
            "reports",
            "the reports of what the gate found",
            _python("cryptoviz.reports", "serve"),
            ports=("reports_port",),
        ),
        Service(
            "dagster-code",
            "Dagster's view of the project",
            _dagster("dagster-code"),
            after=("postgres",),
            ports=("dagster_code_port",),
            environment=dagster.environment,
            stop_group=True,
            start_timeout_s=_DAGSTER_LOAD_S,
        ),
        Service(
            "ingestion",
            "Spark: topics into tables",
            _python("streaming", "run", "ingestion"),
            after=("postgres", "kafka"),
            stream="ingestion",
            stop_wait_s=_stop_wait_s(settings),
            start_timeout_s=_FIRST_BATCH_S,
        ),
        *(_collector(exchange, settings) for exchange in settings.exchanges),
        Service(
            "dagster-webserver",
            "Dagster's web pages",
            _dagster("dagster-webserver"),
            after=("postgres", "dagster-code"),
            ports=("dagster_port",),
            environment=dagster.environment,
            stop_group=True,
            start_timeout_s=_DAGSTER_LOAD_S,
        ),
        Service(
            "dagster-daemon",
            "Dagster's schedules and sensors",
            _dagster("dagster-daemon"),
            after=("postgres", "dagster-code"),
            environment=dagster.environment,
            stop_group=True,
            start_timeout_s=_DAGSTER_LOAD_S,
        ),
    ]
    return [service for service in every if settings.mode in service.modes]


def runs_postgres(settings: Settings) -> bool:
    """Whether the database is the local stack's own."""
    return settings.database_url is None


def runs_kafka(settings: Settings) -> bool:
    """Whether the broker is the local stack's own."""
    return not settings.kafka_bootstrap_servers


def log_folder(settings: Settings) -> Path:
    """Where every process of the stack writes to, one file each."""
    return settings.state / "logs"


def port_settings(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Process name -> settings of the ports it listens on."""
    own = {service.name: service.ports for service in services(settings) if service.ports}
    if runs_postgres(settings):
        own["postgres"] = ("postgres_port",)
    if runs_kafka(settings):
        own["kafka"] = ("kafka_port", "kafka_controller_port")
    return own
