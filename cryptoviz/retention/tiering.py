"""Old rows move from the hot tables to `cold_storage`: batch after batch, each committed by itself.

    candles, indicators, article_data --tier_old_*--> cold_storage --columnstore, where the edition has it-->

A reader of `all_candles`, `all_indicators` or `all_news` sees every row exactly once meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.archive.subjects import TIERED
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

BATCH: Final = 10_000
"""So many rows are a transaction: whoever wants old candles to stay where they are waits for that."""


@dataclass(frozen=True)
class Moved:
    """One committed batch."""

    subject: str
    rows: int
    seconds: float


def tier(connection: Connection[Any], *, batch: int = BATCH) -> Iterator[Moved]:
    """Move all that is older than its hot age. The connection must be in autocommit mode; to stop does no harm."""
    for subject in TIERED:
        moved = 1
        while moved:
            began = time.monotonic()
            row = connection.execute(query(f"tier_old_{subject}"), {"batch": batch}).fetchone()
            moved = int(row[0]) if row else 0
            if moved:
                yield Moved(subject, moved, time.monotonic() - began)


def compress(connection: Connection[Any], *, again: bool = False) -> int:
    """Put whole parts of the cold tables into the columnstore, where the edition has one; how many. Needs autocommit.

    With `again` those, too, that got rows since.
    """
    return _until_none(connection, "compress_cold", again=again)


def drop_empty(connection: Connection[Any], relation: str, before: datetime) -> int:
    """Drop the parts of a table that end before and have no rows any more; how many. Needs autocommit."""
    return _until_none(connection, "drop_empty_chunks", relation=relation, before=before)


def _until_none(connection: Connection[Any], statement: str, **parameters: Any) -> int:
    """Repeat a statement until it reports 0, each time committed by itself; the sum of what it reported."""
    count, found = 0, 1
    while found:
        row = connection.execute(query(statement), parameters).fetchone()
        found = int(row[0]) if row else 0
        count += found
    return count


def sizes(connection: Connection[Any]) -> list[dict[str, Any]]:
    """Rows (estimated) and bytes of every subject in each tier: hot, cold, archive."""
    return fetch_rows(connection, "tier_sizes")
