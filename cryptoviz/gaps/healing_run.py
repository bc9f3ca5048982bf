"""A run that heals gaps, and what became of the gaps that it claimed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cryptoviz.clock import Clock, now
from cryptoviz.gaps.labels import GapStatus
from cryptoviz.gaps.tables import GapOutcome

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.gate.report import GateReport

History_co = TypeVar("History_co", covariant=True)
"""What the exchanges are asked through: `CandleHistory`, `TradeHistory` or both."""

_FAILURES_IN_A_ROW: Final = 3


@dataclass(frozen=True)
class HealingRun(Generic[History_co]):
    """Who heals: with which connection (in autocommit mode) and history, as which run, until when, by which clock.

    `run` is the name under which results and quarantine are kept.
    """

    connection: Connection[Any]
    history: History_co
    run: str = "by hand"
    until: datetime | None = None
    clock: Clock = now

    @property
    def out_of_time(self) -> bool:
        """Whether the rest is to be left to the next run."""
        return self.until is not None and self.clock() >= self.until


@dataclass(frozen=True)
class HealingResult:
    """What became of claimed gaps: windows (or trades) by status and label, and the reason if it was not all of them.

    `reports`: what the gate found in the exchange's answers.
    """

    subject: str
    counts: Mapping[GapOutcome, int] = field(default_factory=dict)
    reason: str = ""
    reports: Sequence[GateReport] = ()

    @property
    def healed(self) -> int:
        """How many windows or trades are stored now."""
        return sum(count for (status, _label), count in self.counts.items() if status == GapStatus.HEALED)

    @property
    def held_back(self) -> int:
        """How many candles went to quarantine."""
        return sum(report.counts.quarantined for report in self.reports)


def until_silent(results: Iterable[HealingResult]) -> Iterator[HealingResult]:
    """Heal the gaps of one exchange until it has failed to answer several times in a row."""
    failures = 0
    for result in results:
        yield result
        failures = failures + 1 if result.reason else 0
        if failures == _FAILURES_IN_A_ROW:
            return
