"""Requests to start, stop or restart a stream, and whether its runner has fulfilled them.

stream_control (request) -> runner -> stream_status (state)
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

from cryptoviz.storage.queries import fetch_rows, query
from cryptoviz.streams.facts import HealthLimits, StreamFacts

if TYPE_CHECKING:
    from psycopg import Connection


class StreamRequest(StrEnum):
    """A change that can be requested of a stream."""

    start = auto()
    stop = auto()
    restart = auto()


def request(connection: Connection[Any], name: str, what: StreamRequest) -> int:
    """Request a change; returns the generation of the worker that fulfils it."""
    desired = "stopped" if what is StreamRequest.stop else "running"
    row = connection.execute(query("stream_desire"), {"name": name, "desired": desired}).fetchone()
    generation = int(row[0]) if row is not None else 0
    if what is not StreamRequest.restart:
        return generation
    # No row: somebody else requested a restart at the same moment, and one restart serves both.
    connection.execute(query("stream_restart"), {"name": name, "generation": generation})
    return generation + 1


def read_facts(connection: Connection[Any], name: str) -> StreamFacts:
    """The facts of a stream now."""
    rows = fetch_rows(connection, "stream_facts", {"names": [name]})
    return StreamFacts.of(rows[0] if rows else {"name": name})


def is_fulfilled(what: StreamRequest, now: StreamFacts, generation: int) -> bool:
    """Whether the runner has fulfilled the request."""
    if what is StreamRequest.stop:
        return now.state == "stopped"
    return (
        now.state == "running"
        and has_runner(now)
        and (now.generation or 0) >= (generation if what is StreamRequest.restart else 0)
    )


def has_runner(now: StreamFacts) -> bool:
    """Whether a runner owns the stream and reports."""
    return now.locked and now.runner_age is not None and now.runner_age <= HealthLimits().dead_s


def why_unfulfilled(what: StreamRequest, now: StreamFacts, waited_s: float) -> str:
    """Why a request is not fulfilled yet, and what to do."""
    unfulfilled = f"{now.name} was asked to {what} and has not within {waited_s:.0f} s"
    if not has_runner(now):
        return (
            f"{unfulfilled}: no runner looks after it. Start one: `cryptoviz stream start {now.name}`, or "
            f"`python -m streaming run {now.name}`. What was asked stays written down and will be done then."
        )
    why = f" Its last error: {now.last_error}" if now.last_error else ""
    seen = f"it is {now.state}, {now.restarts} unplanned ends so far.{why}"
    return f"{unfulfilled}: {seen} `cryptoviz stream list` shows it."
