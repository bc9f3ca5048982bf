"""Keep Dagster's own database small without taking from its pages what they show.

    check executions -> runs (through Dagster) -> events of runs that stay -> reports without a run

Dagster itself purges ticks only. The newest event of each asset, partition and check stays however old it is, and with
it the run that it belongs to: they are what the pages call the state of an asset. Everything happens in batches, each
committed by itself: to stop it half way does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

BATCH: Final = 2_000


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
    batch: int = BATCH,
) -> Iterator[Purged]:
    """Delete what is older, batch after batch. `delete_run` removes a run and all that is of it through Dagster.

    `reports_before` concerns what sensors reported without a run, and past executions of checks.
    """
    for what, name, before in (
        ("check executions", "dagster_purge_checks", reports_before),
        ("reports", "dagster_purge_reports", reports_before),
    ):
        yield from _batches(connection, what, name, before, batch)
    while runs := connection.execute(
        query("dagster_purgeable_runs"), {"before": runs_before, "batch": batch}
    ).fetchall():
        for (run,) in runs:
            delete_run(run)
        yield Purged("runs", len(runs))
    yield from _batches(connection, "events", "dagster_purge_events", runs_before, batch)


def size(connection: Connection[Any]) -> int:
    """Bytes of the database on disk."""
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row is not None else 0


def _batches(connection: Connection[Any], what: str, name: str, before: datetime, batch: int) -> Iterator[Purged]:
    count = batch
    while count == batch:
        row = connection.execute(query(name), {"before": before, "batch": batch}).fetchone()
        count = int(row[0]) if row is not None else 0
        if count:
            yield Purged(what, count)
