"""What an audit found: one result for each expectation, and what became of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a failure is: critical holds back, a warning fails the check only, info is written down."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Scope(StrEnum):
    """What a critical failure holds back: the rows at fault, or everything that came with them."""

    ROW = "row"
    BATCH = "batch"


@dataclass(frozen=True)
class Result:
    """What became of one expectation. `examples` are a few rows at fault, the fields that matter only."""

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
class Counts:
    """What became of the rows."""

    staged: int = 0
    passed: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class Report:
    """What an audit found.

    `passed`: no expectation of severity critical or warning failed. `blocked`: a critical one about the whole batch
    did, and nothing of it was published. `standing`: nothing new was there to judge, and the results are those of the
    time before. `newest`: the newest event time among the rows that passed.
    """

    subject: str
    run: str
    asset: str
    suite: str
    passed: bool
    blocked: bool
    counts: Counts = field(default_factory=Counts)
    results: Sequence[Result] = ()
    newest: datetime | None = None
    standing: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> list[Result]:
        """The results that fail the check, in the order of the suite."""
        return [result for result in self.results if result.counts]


class GateError(Exception):
    """The gate itself does not work; says nothing about the data, and nothing was changed."""


class SuiteError(GateError):
    """A suite cannot be read; the message names the file and the reason."""
