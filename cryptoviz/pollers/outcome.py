"""The outcome of a poll and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate.staging import StagedRow
from cryptoviz.pollers import state, wire

if TYPE_CHECKING:
    from psycopg import Connection


class PollStatus(StrEnum):
    """How the poll of a source ended."""

    POLLED = "polled"
    UNMODIFIED = "unmodified"
    """By the source's answer nothing has changed since the last poll."""
    PARTIAL = "partial"
    """Some pages came, then it failed."""
    SKIPPED = "skipped"
    """The source was not asked; the reason says why."""
    FAILED = "failed"


_LEFT_ALONE: Final = frozenset({"paused", "circuit_open"})


@dataclass(frozen=True)
class PollOutcome:
    """The outcome of one poll of a source. `reason` (a word) and `detail` (a sentence) are empty where it succeeded.

    `newest` is the latest timestamp of a row; `missing` are the days that the source itself lacks.
    """

    source: str
    status: PollStatus
    reason: str = ""
    detail: str = ""
    rows: int = 0
    requests: int = 0
    http_status: int | None = None
    bytes: int = 0
    seconds: float = 0.0
    breaker: str = "closed"
    newest: datetime | None = None
    missing: tuple[date, ...] = ()

    @property
    def trouble(self) -> str | None:
        """The failure of the source in one line; None where it answered, or was not due."""
        if self.status in (PollStatus.FAILED, PollStatus.PARTIAL) or self.reason in _LEFT_ALONE:
            return f"{self.reason}: {self.detail}"
        return None

    def facts(self) -> dict[str, str | int | float | None]:
        """The outcome as plain values, for logs and metadata."""
        return {
            "status": str(self.status),
            "reason": self.reason or None,
            "detail": self.detail or None,
            "rows": self.rows,
            "requests": self.requests,
            "http_status": self.http_status,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "breaker": self.breaker,
            "newest": wire.instant(self.newest) if self.newest is not None else None,
            "missing_days": ", ".join(map(str, self.missing)) or None,
        }


@dataclass(frozen=True)
class Poll:
    """The rows of a poll, its outcome, and the poller's memory for the next poll.

    Stage the rows and call `remember` in one transaction: so nothing is lost that the source will not send again.
    """

    rows: Sequence[StagedRow]
    outcome: PollOutcome
    memory: Mapping[str, Any] | None = None

    def remember(self, connection: Connection[Any]) -> None:
        """Store the memory, within the caller's transaction."""
        if self.memory is not None:
            state.remember(connection, self.outcome.source, self.memory)
