"""How every part of the stack is: one snapshot for people and for programs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptoviz import bus
from cryptoviz.settings import Settings
from cryptoviz.stack import health
from cryptoviz.stack.health import ServiceHealth
from cryptoviz.stack.services import Service, runs_kafka, runs_postgres, services
from cryptoviz.stack.supervisor import ProgramState, Supervisor


@dataclass(frozen=True)
class StackPart:
    """One part. `uptime` in seconds; `figures` as its stream reports them."""

    name: str
    healthy: bool
    state: str
    pid: int | None = None
    uptime: float | None = None
    detail: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StackStatus:
    """Every part, what flows, and how far the configured history has been fetched."""

    mode: str
    edition: dict[str, str]
    parts: list[StackPart]
    figures: list[dict[str, Any]]
    history: list[dict[str, Any]]

    @property
    def healthy(self) -> bool:
        """Whether all is well."""
        return all(part.healthy for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"healthy": self.healthy, **asdict(self)}


def status(settings: Settings) -> StackStatus:
    """Look at every part once."""
    states = Supervisor(settings).states()
    edition = health.edition(settings)
    parts = [_database(settings, states, edition), _broker(settings, states)]
    parts += _services(settings, states)
    figures = health.live_figures(settings) if edition else []
    return StackStatus(settings.mode, edition, parts, figures, health.backfill_summary(settings) if edition else [])


def _services(settings: Settings, states: dict[str, ProgramState]) -> Iterator[StackPart]:
    for service in services(settings):
        process = states.get(service.name)
        yield _part(service, process, health.check(service, process, settings))


def _part(service: Service, process: ProgramState | None, found: ServiceHealth) -> StackPart:
    return StackPart(
        service.name,
        found.healthy,
        "stopped" if found.figures.get("stopped") else _word(process),
        process.pid or None if process is not None else None,
        _uptime(process),
        found.detail,
        dict(found.figures),
    )


def _database(settings: Settings, states: dict[str, ProgramState], edition: dict[str, str]) -> StackPart:
    process = states.get("postgres")
    detail = " ".join(
        [f"PostgreSQL {edition['server']}", f"TimescaleDB {edition['extension']}".rstrip(), f"({edition['edition']})"]
        if edition
        else ["no answer"]
    )
    state = _word(process) if runs_postgres(settings) else "external"
    return StackPart("postgres", bool(edition), state, process.pid if process else None, _uptime(process), detail)


def _broker(settings: Settings, states: dict[str, ProgramState]) -> StackPart:
    process = states.get("kafka")
    if not runs_kafka(settings):
        try:
            return StackPart("kafka", bool(bus.list_topics(settings)), "external", detail=settings.bootstrap_servers)
        except bus.BusError as error:
            return StackPart("kafka", False, "external", detail=str(error))
    from cryptoviz.stack.start import local_kafka  # noqa: PLC0415 - start imports much that status does not need

    ready = local_kafka(settings).ready()
    detail = settings.bootstrap_servers if ready else "no answer"
    return StackPart("kafka", ready, _word(process), process.pid if process else None, _uptime(process), detail)


def _word(process: ProgramState | None) -> str:
    return process.state.lower() if process is not None else "stopped"


def _uptime(process: ProgramState | None) -> float | None:
    return time.time() - process.started if process is not None and process.running and process.started else None
