"""How a poll went, and what it brought."""

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


class Status(StrEnum):
    """How a poll ended."""

    POLLED = "polled"
    UNMODIFIED = "unmodified"
    """The source says that nothing changed since last time."""
    PARTIAL = "partial"
    """Some pages came, then it failed."""
    SKIPPED = "skipped"
    """It was not asked; the reason says why."""
    FAILED = "failed"


_LEFT_ALONE: Final = frozenset({"paused", "circuit_open"})


@dataclass(frozen=True)
class Outcome:
    """How a poll of one source went. `reason` (a word) and `detail` (a sentence) are empty where all went well.

    `newest` is the latest time that the source said of a row; `missing` are the days that the source itself lacks.
    """

    source: str
    status: Status
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
        """What is wrong with the source in one line; None where it answered, or was not to be asked at all."""
        if self.status in (Status.FAILED, Status.PARTIAL) or self.reason in _LEFT_ALONE:
            return f"{self.reason}: {self.detail}"
        return None

    def facts(self) -> dict[str, str | int | float | None]:
        """The outcome as plain values, for people and programs."""
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
    """What a poll brought, and what its poller wants to know next time.

    Stage the rows and call `remember` in one transaction: what the source will not send again is then not lost.
    """

    rows: Sequence[StagedRow]
    outcome: Outcome
    memory: Mapping[str, Any] | None = None

    def remember(self, connection: Connection[Any]) -> None:
        """Keep the memory, within the caller's transaction."""
        if self.memory is not None:
            state.remember(connection, self.outcome.source, self.memory)
