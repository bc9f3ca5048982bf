"""Keep Dagster's own database small without taking from its pages what they show, and forget what the platform wrote
of itself long ago.

    check executions -> runs (through Dagster) -> events of runs that stay -> reports without a run
    quarantine, results, documents, stream events, closed alerts, published keys

Dagster itself purges ticks only. The newest event of each asset, partition and check stays however old it is, and with
it the run that it belongs to: they are what the pages call the state of an asset. Everything happens in batches, each
committed by itself: to stop it half way does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

BATCH: Final = 2_000

KEPT: Final[Mapping[str, timedelta]] = {
    "quarantine": timedelta(days=90),
    "quality_results": timedelta(days=365),
    "quality_documents": timedelta(days=30),
    "stream_events": timedelta(days=365),
    "platform_alerts": timedelta(days=365),
}
"""How long the platform's records of itself are kept, from when they were last touched."""


@dataclass(frozen=True)
class Purged:
    """One batch: what it was of, and how many."""

    what: str
    count: int


def purge(
    connection: Connection[Any],
    delete_run: Callable[[str], None],
    *,
    runs_before: datetime,
    reports_before: datetime,
    polls_before: datetime,
    polls: Sequence[str] = (),
    batch: int = BATCH,
) -> Iterator[Purged]:
    """Delete what is older, batch after batch. `delete_run` removes a run and all that is of it through Dagster.

    `reports_before` concerns what sensors reported without a run, and past executions of checks; `polls_before` the
    runs of the jobs `polls` that went well: there is one every minute, and what they fetched is stored elsewhere.
    """
    early = {"polls_before": polls_before, "polls": list(polls), "batch": batch}
    yield from _batches(connection, "check executions", "dagster_purge_checks", {"before": reports_before, **early})
    yield from _batches(connection, "reports", "dagster_purge_reports", {"before": reports_before, "batch": batch})
    while runs := connection.execute(query("dagster_purgeable_runs"), {"before": runs_before, **early}).fetchall():
        for (run,) in runs:
            delete_run(run)
        yield Purged("runs", len(runs))
    yield from _batches(connection, "events", "dagster_purge_events", {"before": runs_before, "batch": batch})


def forget(connection: Connection[Any], now: datetime, *, batch: int = BATCH) -> Iterator[Purged]:
    """Delete the platform's records of itself that are older than `KEPT`, and keys beyond their subject's memory."""
    for table, age in KEPT.items():
        yield from _forgotten(connection, table, {"before": now - age, "batch": batch})
    for subject in SUBJECTS.values():
        parameters = {"subject": subject.name, "before": now - subject.memory, "batch": batch}
        yield from _forgotten(connection, "published_keys", parameters)


def _forgotten(connection: Connection[Any], table: str, parameters: Mapping[str, Any]) -> Iterator[Purged]:
    count = parameters["batch"]
    while count == parameters["batch"]:
        count = connection.execute(query(f"forget_{table}"), parameters).rowcount
        if count:
            yield Purged(table, count)


def size(connection: Connection[Any]) -> int:
    """Bytes of the database on disk."""
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row is not None else 0


def _batches(connection: Connection[Any], what: str, name: str, parameters: Mapping[str, Any]) -> Iterator[Purged]:
    count = parameters["batch"]
    while count == parameters["batch"]:
        row = connection.execute(query(name), parameters).fetchone()
        count = int(row[0]) if row is not None else 0
        if count:
            yield Purged(what, count)
