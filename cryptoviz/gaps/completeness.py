"""The state of the history: how complete it is, what is missing and why, what is being fetched, where it lies.

completeness, candle_gaps, trade_gaps, backfill_progress, tiers -> HistoryState -> figures, and a report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.storage.queries import fetch_rows

if TYPE_CHECKING:
    from psycopg import Connection

PLOTTED: Final = timedelta(days=90)

TableRow = Mapping[str, Any]
"""Column name -> value."""


@dataclass(frozen=True)
class BackfillProgress:
    """A backfill that is not completed. Counts are candles."""

    series: str
    status: str
    start: datetime
    end: datetime
    position: datetime | None
    total: int
    processed: int
    error: str
    created_at: datetime
    updated_at: datetime

    @property
    def share(self) -> float:
        """The share of it that is done, from 0 to 1."""
        return min(1.0, self.processed / self.total) if self.total else 0.0

    @property
    def expected_end(self) -> datetime | None:
        """When it is done if it goes on as fast as so far; None where nothing can be said."""
        elapsed = self.updated_at - self.created_at
        if self.status != "in_progress" or not self.processed or not self.total or elapsed <= timedelta():
            return None
        return self.updated_at + elapsed * (max(0, self.total - self.processed) / self.processed)


@dataclass(frozen=True)
class HistoryState:
    """What the database says of the history. The rows are those of the statements named like the fields."""

    at: datetime
    timeframes: Sequence[TableRow]
    minutes: Sequence[TableRow]
    gaps: Sequence[TableRow]
    backfills: Sequence[BackfillProgress]
    tiers: Sequence[TableRow]

    @property
    def numbers(self) -> dict[str, float]:
        """The figures that are worth a plot over time."""
        expected, known = _sum(self.timeframes, "expected"), _known(self.timeframes)
        return {
            **({"complete %": percent(known, expected)} if expected else {}),
            "candles stored": _sum(self.timeframes, "stored"),
            "candles unexplained": _sum(self.timeframes, "unexplained"),
            **{f"candles {label.value}": _sum(self.timeframes, label.value) for label in GapLabel},
            "candles healed": _sum(self.timeframes, "healed"),
            "days complete": _sum(self.timeframes, "complete_days"),
            "days lacking": _sum(self.timeframes, "lacking_days"),
            "open gaps in candles": self._open("candles"),
            "open gaps in trades": self._open("trades"),
            "backfills running": sum(backfill.status == "in_progress" for backfill in self.backfills),
            "backfills failed": sum(backfill.status == "failed" for backfill in self.backfills),
            **{f"{row['subject']} {row['tier']} MB": round(row["bytes"] / 1_000_000, 1) for row in self.tiers},
        }

    def _open(self, kind: str) -> int:
        return sum(row["gaps"] for row in self.gaps if row["kind"] == kind and row["status"] != GapStatus.EXPLAINED)


def read(connection: Connection[Any], at: datetime) -> HistoryState:
    """Read the state of the history now."""
    days = {"since": (at - PLOTTED).date(), "until": at.date()}
    return HistoryState(
        at,
        fetch_rows(connection, "completeness_timeframes"),
        fetch_rows(connection, "completeness_minutes", days),
        fetch_rows(connection, "gaps_summary"),
        [_backfill(row) for row in fetch_rows(connection, "backfills")],
        fetch_rows(connection, "tier_sizes"),
    )


def percent(known: int, expected: int) -> float:
    """What is known of what can be, in percent; never 100 while anything is missing."""
    return 100.0 if known >= expected else min(99.99, round(100 * known / expected, 2))


def _backfill(row: TableRow) -> BackfillProgress:
    return BackfillProgress(
        f"{row['exchange']} {row['symbol']} {row['timeframe']}",
        row["status"],
        row["start_ts"],
        row["end_ts"],
        row["current_position_ts"],
        row["total_candles"],
        row["processed_candles"],
        row["error_message"] or "",
        row["created_at"],
        row["updated_at"],
    )


def _sum(rows: Sequence[TableRow], name: str) -> int:
    return sum(row[name] for row in rows)


def _known(rows: Sequence[TableRow]) -> int:
    return _sum(rows, "stored") + _sum(rows, "no_trades")
