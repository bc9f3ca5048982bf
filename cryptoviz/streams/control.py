"""What somebody asks of a stream, and whether it has come about.

stream_control (asked) -> runner -> stream_status (answered)
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

from cryptoviz.storage.queries import fetch_rows, query
from cryptoviz.streams.supervision import Bounds, StreamFacts

if TYPE_CHECKING:
    from psycopg import Connection


class Ask(StrEnum):
    """What can be asked of a stream."""

    start = auto()
    stop = auto()
    restart = auto()


def ask(connection: Connection[Any], name: str, what: Ask) -> int:
    """Ask a stream to start, stop or begin anew; returns the generation that answers it."""
    desired = "stopped" if what is Ask.stop else "running"
    row = connection.execute(query("stream_desire"), {"name": name, "desired": desired}).fetchone()
    generation = int(row[0]) if row is not None else 0
    if what is not Ask.restart:
        return generation
    # No row: somebody else asked for the same in this moment, and one restart serves both.
    connection.execute(query("stream_restart"), {"name": name, "generation": generation})
    return generation + 1


def facts(connection: Connection[Any], name: str) -> StreamFacts:
    """How a stream is now."""
    rows = fetch_rows(connection, "stream_facts", {"names": [name]})
    return StreamFacts.of(rows[0] if rows else {"name": name})


def answered(what: Ask, now: StreamFacts, generation: int) -> bool:
    """Whether the runner has done what was asked."""
    if what is Ask.stop:
        return now.state == "stopped"
    return now.state == "running" and alive(now) and (now.generation or 0) >= (generation if what is Ask.restart else 0)


def alive(now: StreamFacts) -> bool:
    """Whether a runner looks after the stream."""
    return now.locked and now.runner_age is not None and now.runner_age <= Bounds().dead_s


def unanswered(what: Ask, now: StreamFacts, waited_s: float) -> str:
    """Why it has not come about, and what to do."""
    asked = f"{now.name} was asked to {what} and has not within {waited_s:.0f} s"
    if not alive(now):
        return (
            f"{asked}: no runner looks after it. Start one: `cryptoviz stream start {now.name}`, or "
            f"`python -m streaming run {now.name}`. What was asked stays written down and will be done then."
        )
    why = f" Its last error: {now.last_error}" if now.last_error else ""
    return f"{asked}: it is {now.state}, {now.restarts} unplanned ends so far.{why} `cryptoviz stream list` shows it."
