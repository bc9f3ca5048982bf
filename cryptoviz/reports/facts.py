"""What the reports tell, read from the database in one look: a frozen picture that pages are made of.

quality_results -> judgements, failures, tallies        quarantine -> held, rows        quality_documents -> documents
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Protocol

from cryptoviz.reports.trend import Tally
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

KEEP: Final = timedelta(days=30)
"""How far back trends and documents go."""

FAILURES: Final = timedelta(days=7)
MOST_FAILURES: Final = 200
MOST_DOCUMENTS: Final = 1_500
"""Of an asset: twice as many as there are hours, so that one that fails and recovers all the time fills no disk."""

MOST_OPEN: Final = 200
MOST_RESOLVED: Final = 50
"""Rows of a subject that its page shows; the command line lists all."""

Tallies = Mapping[datetime, Tally]


class TableState(StrEnum):
    """What a judgement comes to."""

    PASS = "pass"  # noqa: S105 - the word on the page
    WARNING = "warning"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What became of one expectation. `rows`: how many were at fault, where rows are what it is about."""

    expectation: str
    severity: str
    success: bool
    observed: Any = None
    rows: int | None = None

    @property
    def state(self) -> TableState:
        """How bad it is; what is only written down is no fault."""
        if self.success or self.severity == "info":
            return TableState.PASS
        return TableState.FAIL if self.severity == "critical" else TableState.WARNING


@dataclass(frozen=True)
class Judgement:
    """The newest judgement of an asset."""

    asset: str
    suite: str
    run: str
    at: datetime
    findings: Sequence[Finding]

    @property
    def state(self) -> TableState:
        """As bad as the worst finding."""
        states = {finding.state for finding in self.findings}
        return next((state for state in (TableState.FAIL, TableState.WARNING) if state in states), TableState.PASS)

    @property
    def faults(self) -> list[Finding]:
        """What was wrong, the worst first."""
        found = [finding for finding in self.findings if finding.state is not TableState.PASS]
        return sorted(found, key=lambda finding: finding.state is not TableState.FAIL)


@dataclass(frozen=True)
class Failure:
    """An expectation that was not met on a day: how often, from when to when, and at most how many rows."""

    asset: str
    suite: str
    expectation: str
    severity: str
    day: date
    times: int
    first_at: datetime
    last_at: datetime
    most_rows: int | None


@dataclass(frozen=True)
class Held:
    """What of a subject is in quarantine. `occurrences`: how often the open rows were seen."""

    subject: str
    open: int
    released: int
    discarded: int
    occurrences: int
    last_seen_at: datetime


@dataclass(frozen=True)
class QuarantinedRow:
    """One row in quarantine."""

    id: int
    key: str | None
    reason: str
    expectation: str | None
    payload: Any
    origin: Any
    run: str | None
    created_at: datetime
    last_seen_at: datetime
    occurrences: int
    released_at: datetime | None
    discarded_at: datetime | None
    resolved_by: str | None

    @property
    def state(self) -> str:
        """open, released or discarded."""
        return "released" if self.released_at else "discarded" if self.discarded_at else "open"


@dataclass(frozen=True)
class Document:
    """A stored validation, without its text."""

    asset: str
    evaluated_at: datetime
    run: str
    suite: str
    success: bool
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Everything, as of one moment."""

    at: datetime
    judgements: Sequence[Judgement] = ()
    failures: Sequence[Failure] = ()
    tallies: Mapping[str, Tallies] = field(default_factory=dict)
    held: Sequence[Held] = ()
    open_rows: Mapping[str, Sequence[QuarantinedRow]] = field(default_factory=dict)
    resolved_rows: Mapping[str, Sequence[QuarantinedRow]] = field(default_factory=dict)
    documents: Sequence[Document] = ()


class FactsReader(Protocol):
    """Where facts come from."""

    def facts(self, now: datetime) -> Facts:
        """Everything, as of one moment."""

    def document(self, document: Document) -> Mapping[str, Any] | None:
        """The text of a document; None if it is no longer stored."""


class Stored:
    """What the database says, over a connection in autocommit."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def facts(self, now: datetime) -> Facts:
        """Look at the database once: what is read belongs together."""
        connection = self._connection
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return _facts(connection, now)

    def document(self, document: Document) -> Mapping[str, Any] | None:
        """The text of a document; None if it is no longer stored."""
        key = {"asset": document.asset, "evaluated_at": document.evaluated_at}
        found = self._connection.execute(query("report_document"), key).fetchone()
        return dict(found[0]) if found is not None else None


def _facts(connection: Connection[Any], now: datetime) -> Facts:
    judgements = list(_judgements(connection))
    held = [Held(**row) for row in _rows(connection, "report_quarantine")]
    return Facts(
        at=now,
        judgements=sorted(judgements, key=lambda judgement: judgement.at, reverse=True),
        failures=[
            Failure(**row) for row in _rows(connection, "report_failures", since=now - FAILURES, most=MOST_FAILURES)
        ],
        tallies=_tallies(connection, now - KEEP, {judgement.asset: judgement.suite for judgement in judgements}),
        held=held,
        open_rows={held_rows.subject: _quarantined(connection, held_rows.subject, open_=True) for held_rows in held},
        resolved_rows={
            held_rows.subject: _quarantined(connection, held_rows.subject, open_=False) for held_rows in held
        },
        documents=[
            Document(**row | {"failed": tuple(row["failed"])})
            for row in _rows(connection, "report_documents", since=now - KEEP, most=MOST_DOCUMENTS)
        ],
    )


def _judgements(connection: Connection[Any]) -> Iterator[Judgement]:
    for asset, group in groupby(_rows(connection, "report_newest"), key=lambda row: row["asset"]):
        rows = list(group)
        yield Judgement(
            asset,
            rows[0]["suite"],
            rows[0]["run"],
            max(row["evaluated_at"] for row in rows),
            [
                Finding(row["expectation"], row["severity"], row["success"], row["observed"], row["unexpected_count"])
                for row in rows
            ],
        )


def _tallies(connection: Connection[Any], since: datetime, subjects: Mapping[str, str]) -> dict[str, Tallies]:
    """By asset and hour; the rows of a subject count with every asset that its suite judges."""
    found: defaultdict[str, defaultdict[datetime, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for row in _rows(connection, "report_trend", since=since):
        found[row["asset"]][row["hour"]] += Tally(row["passed"], row["failed"])
    for row in _rows(connection, "report_quarantined", since=since):
        for asset, suite in subjects.items():
            if suite == row["subject"]:
                found[asset][row["hour"]] += Tally(quarantined=row["rows"])
    return {asset: dict(hours) for asset, hours in found.items()}


def _quarantined(connection: Connection[Any], subject: str, *, open_: bool) -> list[QuarantinedRow]:
    most = MOST_OPEN if open_ else MOST_RESOLVED
    return [
        QuarantinedRow(**row)
        for row in _rows(connection, "report_quarantine_rows", subject=subject, open=open_, most=most)
    ]


def _rows(connection: Connection[Any], name: str, **parameters: Any) -> list[dict[str, Any]]:
    return fetch_rows(connection, name, parameters)
