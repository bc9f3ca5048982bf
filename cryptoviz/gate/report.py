"""The report of an audit: one result for each expectation, and how many rows passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a failure does: critical holds rows back, warning only fails the check, info is only stored."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Scope(StrEnum):
    """What a critical failure holds back: the rows at fault, or the whole batch."""

    ROW = "row"
    BATCH = "batch"


@dataclass(frozen=True)
class ExpectationResult:
    """The result of one expectation. `examples` are a few rows at fault, with the fields that it looks at."""

    name: str
    severity: Severity
    scope: Scope
    success: bool
    why: str
    observed: Any = None
    unexpected_count: int = 0
    examples: Sequence[Mapping[str, Any]] = ()

    @property
    def counts(self) -> bool:
        """Whether it fails the check."""
        return not self.success and self.severity is not Severity.INFO

    @property
    def blocks(self) -> bool:
        """Whether it holds back everything."""
        return not self.success and self.severity is Severity.CRITICAL and self.scope is Scope.BATCH


@dataclass(frozen=True)
class RowCounts:
    """How many rows were judged, passed, and went to quarantine."""

    staged: int = 0
    passed: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class GateReport:
    """The report of an audit.

    `passed`: no expectation of severity critical or warning failed. `blocked`: a critical one of scope batch failed and
    no row passed. `standing`: there were no new rows, the results are those of the last audit. `newest`: the newest
    event time among the rows that passed.
    """

    subject: str
    run: str
    asset: str
    suite: str
    passed: bool
    blocked: bool
    counts: RowCounts = field(default_factory=RowCounts)
    results: Sequence[ExpectationResult] = ()
    newest: datetime | None = None
    standing: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> list[ExpectationResult]:
        """The results that fail the check, in the order of the suite."""
        return [result for result in self.results if result.counts]


class GateError(Exception):
    """The gate itself failed: this says nothing about the data, and nothing was changed."""


class SuiteError(GateError):
    """A suite cannot be read; the message names the file and the reason."""
