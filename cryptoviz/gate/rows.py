"""Rows that may be published, and the stored facts that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from cryptoviz.gate.values import instant
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

Columns = dict[str, Any]
"""The columns of one row."""


@dataclass(frozen=True)
class CandidateRow:
    """One row to be judged: its fields (`payload`), the series that it is a state of, and the run that fetched it."""

    key: str
    payload: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""
    run: str = ""
    number: int = 0


@dataclass(frozen=True)
class StoredContext:
    """Stored facts that rows are compared with."""

    coins: Mapping[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    """(source, symbol) -> price and name that were published last, within the last hour."""

    days: frozenset[date] = frozenset()
    """The days whose mood is stored."""

    listed_pairs: Mapping[str, int] = field(default_factory=dict)
    """Exchange -> how many pairs the table says it lists."""


def read_context(connection: Connection[Any], subject: str, rows: Sequence[CandidateRow]) -> StoredContext:
    """Read the stored facts that rows of a subject are compared with."""
    if subject == "market":
        received = max((when for row in rows if (when := instant(row.payload.get("received_at")))), default=None)
        found = connection.execute(query("gate_known_coins"), {"before": received}).fetchall()
        return StoredContext(coins={(source, symbol): (float(price), name) for source, symbol, price, name in found})
    if subject == "mood":
        return StoredContext(days=frozenset(day for (day,) in connection.execute(query("gate_known_days"))))
    if subject == "instruments":
        return StoredContext(listed_pairs=dict(connection.execute(query("gate_known_listed")).fetchall()))
    return StoredContext()
