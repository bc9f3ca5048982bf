"""Whether each part of the stack does its work: asked of the part itself, not of the process table."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from cryptoviz.reports.address import reports_folder
from cryptoviz.reports.store import built_at
from cryptoviz.settings import Role, Settings
from cryptoviz.stack.services import Service
from cryptoviz.stack.supervisor import ProgramState
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query
from cryptoviz.streams.supervision import Verdict
from cryptoviz.streams.verdicts import JudgedStream, judge_streams

DAEMON_MAX_AGE_S: Final = 120.0
STOPPED: Final = "stopped"
_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True)
class ServiceHealth:
    """Whether a part does its work, why or why not in a few words, and its figures."""

    healthy: bool
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def check(service: Service, process: ProgramState | None, settings: Settings) -> ServiceHealth:
    """Ask one service."""
    if process is None or process.state != "RUNNING":
        return ServiceHealth(False, process.state.lower() if process is not None else "not started")
    return probe(service, settings, process.pid)


def probe(service: Service, settings: Settings, pid: int | None = None) -> ServiceHealth:
    """Ask one service without looking at its process; `pid` is the process that should own a stream, if known."""
    if service.stream is not None:
        return stream_health(_verdicts(settings).get(service.stream), pid)
    return _PROBES[service.name](settings)


def streams(settings: Settings) -> dict[str, dict[str, Any]]:
    """The rows of `stream_status` and `stream_control` by name; empty when the database cannot tell."""
    try:
        with connect(Role.READER, settings, application_name="cryptoviz status") as connection:
            rows = connection.cursor(row_factory=dict_row).execute(query("stream_list")).fetchall()
    except psycopg.Error:
        return {}
    return {row["name"]: row for row in rows}


def _verdicts(settings: Settings) -> dict[str, JudgedStream]:
    """Each stream as the supervisor would judge it now; empty when the database cannot tell."""
    try:
        with connect(Role.READER, settings, application_name="cryptoviz status") as connection:
            return judge_streams(connection, settings, time.time())
    except psycopg.Error:
        return {}


def stream_health(stream: JudgedStream | None, pid: int | None) -> ServiceHealth:
    """What a verdict means for the stream's process. `pid` is the runner that should own the stream, if known.

    A stream that was asked to stand still, and does, is healthy and says so.
    """
    if stream is None or stream.row["state"] is None or (pid is not None and stream.row["runner_pid"] != pid):
        return ServiceHealth(False, "has not reported yet")
    decision = stream.decision
    if decision.verdict is Verdict.DEAD:
        return ServiceHealth(False, decision.message)  # the figures are an earlier runner's
    figures = {name: stream.row[column] for name, column in _FIGURES.items()} | {"verdict": str(decision.verdict)}
    if decision.verdict is Verdict.STOPPED and decision.well:
        return ServiceHealth(True, "stopped on purpose", figures | {"stopped": True})
    return ServiceHealth(decision.well, "" if decision.verdict is Verdict.HEALTHY else decision.message, figures)


_FIGURES: Final[Mapping[str, str]] = {
    **{name: name for name in ("lag", "rows_total", "batch_rows", "batch_ms", "epoch", "heartbeat_age", "restarts")},
    "next_start_s": "next_start_in",
}


def http_health(port: int, path: str) -> ServiceHealth:
    """Whether a server on loopback answers with success."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
    except (OSError, HTTPException) as error:
        return ServiceHealth(False, f"no answer: {error}")
    finally:
        connection.close()
    return ServiceHealth(
        answer.status == HTTPStatus.OK, "" if answer.status == HTTPStatus.OK else f"HTTP {answer.status}"
    )


def _reports_health(settings: Settings) -> ServiceHealth:
    """Whether the reports are served; says how old they are."""
    found = http_health(settings.reports_port, "/health")
    if not found.healthy:
        return found
    built = built_at(reports_folder(settings))
    if built is None:
        return ServiceHealth(True, "nothing built yet")
    age = (datetime.now(UTC) - built).total_seconds()
    return ServiceHealth(True, f"built {age / 60:.0f} min ago", {"built_age": round(age, 1)})


def _listens(port: int) -> ServiceHealth:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S):
            return ServiceHealth(True)
    except OSError as error:
        return ServiceHealth(False, f"no answer: {error.strerror}")


def _daemon_health(settings: Settings) -> ServiceHealth:
    try:
        with psycopg.connect(settings.dagster_database(), connect_timeout=5) as connection:
            row = connection.execute(query("dagster_heartbeat")).fetchone()
    except psycopg.Error as error:
        return ServiceHealth(False, f"no heartbeat: {type(error).__name__}")
    age = row[0] if row is not None else None
    if age is None or age > DAEMON_MAX_AGE_S:
        return ServiceHealth(False, "no heartbeat yet" if age is None else f"silent for {age:.0f} s")
    return ServiceHealth(True, "", {"heartbeat_age": age})


_PROBES: Final[Mapping[str, Callable[[Settings], ServiceHealth]]] = {
    "simulators": lambda settings: http_health(settings.simulator_port, "/control/health"),
    "simulated-web": lambda settings: http_health(settings.web_simulator_port, "/control/health"),
    "reports": _reports_health,
    "dagster-code": lambda settings: _listens(settings.dagster_code_port),
    "dagster-webserver": lambda settings: http_health(settings.dagster_port, "/server_info"),
    "dagster-daemon": _daemon_health,
}


def edition(settings: Settings) -> dict[str, str]:
    """edition, extension and server version of the database; empty when it cannot be reached."""
    try:
        with connect(Role.READER, settings, application_name="cryptoviz status") as connection:
            row = connection.cursor(row_factory=dict_row).execute(query("timescaledb_edition")).fetchone()
    except psycopg.Error:
        return {}
    return {name: str(value) for name, value in (row or {}).items()}


def live_figures(settings: Settings) -> list[dict[str, Any]]:
    """What arrived lately, per exchange; empty when the database cannot tell."""
    return _query_rows(settings, "live_figures")


def backfill_summary(settings: Settings) -> list[dict[str, Any]]:
    """How far the configured history has been fetched; empty when nothing is known or the database cannot tell."""
    pairs = {exchange: len(settings.pairs(exchange)) for exchange in settings.exchanges}
    return [_foreseen(row, pairs.get(row["exchange"], 0)) for row in _query_rows(settings, "backfill_summary")]


def _foreseen(row: dict[str, Any], pairs: int) -> dict[str, Any]:
    """The row with the part that is done, in percent, and when all pairs are if they go on as fast as so far."""
    pairs = max(pairs, row["series"])
    total = row["total"] * pairs / row["series"]
    done = min(1.0, row["processed"] / total) if total else 0.0
    left = (row["updated"] - row["began"]) * (1 / done - 1) if done and row["completed"] < pairs else None
    return {
        **{name: row[name] for name in ("exchange", "timeframe", "completed", "failed", "processed")},
        "series": pairs,
        "percent": int(100 * done),
        "expected_end": row["updated"] + left if left is not None else None,
    }


def _query_rows(settings: Settings, statement: str) -> list[dict[str, Any]]:
    try:
        with connect(Role.READER, settings, application_name="cryptoviz status") as connection:
            return connection.cursor(row_factory=dict_row).execute(query(statement)).fetchall()
    except psycopg.Error:
        return []


def simulator_request(host: str, port: int, path: str, body: Any = None) -> Any:
    """Ask the simulators at an address something under /control, or tell them (`body`).

    Raises:
        OSError: they do not answer.
        ValueError: they refuse; the message is theirs.
    """
    connection = HTTPConnection(host, port, timeout=30)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(
            "GET" if body is None else "POST", f"/control/{path}", payload, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise ValueError(f"{answer.status}: {text[:300]}")
    return json.loads(text)
