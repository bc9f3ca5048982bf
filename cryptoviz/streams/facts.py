"""What is known of a stream at one moment, and what counts as healthy.

stream_control, stream_status, lock, newest rows -> StreamFacts, PairFacts     settings -> HealthLimits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any, Final

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.settings import Settings

COLLECTOR: Final = "collector_"
INGESTION: Final = "ingestion"


class Stream(StrEnum):
    """Every stream that can run: a collector for each exchange, and the rest. The settings say which do."""

    _ignore_ = "_exchange"
    for _exchange in EXCHANGES:
        vars()[f"{COLLECTOR}{_exchange}"] = f"{COLLECTOR}{_exchange}"
    ingestion = auto()


@dataclass(frozen=True)
class HealthLimits:
    """How far a stream may go and still count as healthy, in seconds and messages."""

    dead_s: float = 20
    mute_s: float = 70
    start_s: float = 360
    grace_s: float = 60
    stuck_s: float = 180
    silent_s: float = 60
    quiet_s: float = 300
    live_s: float = 60
    unstored_s: float = 30
    lag: int = 50_000
    lag_evaluations: int = 3
    lag_restart_evaluations: int = 10
    failed_starts: int = 3
    restarts_an_hour: int = 5
    first_pause_s: float = 60
    apart_s: float = 15
    forget_s: float = 150

    @classmethod
    def of(cls, settings: Settings) -> HealthLimits:
        """The limits that follow from the settings."""
        return cls(
            # The runner replaces a worker that is silent, stands still or does not begin. The supervisor acts later,
            # when the runner has not.
            stuck_s=settings.stream_stall_s + cls.grace_s,
            mute_s=settings.stream_hang_s + cls.grace_s,
            start_s=settings.stream_start_s + cls.grace_s,
            silent_s=2 * settings.collector_silence_s,
            quiet_s=settings.collector_quiet_s,
            lag=settings.supervisor_lag_messages,
            restarts_an_hour=settings.supervisor_restarts_per_hour,
        )


@dataclass(frozen=True)
class PairFacts:
    """One pair: ages of its newest stored trade and ticker, and its collector's report. None: not known."""

    pair: str
    trade_age: float | None = None
    ticker_age: float | None = None
    heard_age: float | None = None
    quote_age: float | None = None
    asked_age: float | None = None
    deaf_for: float | None = None
    refused: str = ""

    def newest_age(self) -> float | None:
        """Seconds since anything of this pair was received or stored."""
        ages = (self.trade_age, self.ticker_age, self.heard_age, self.quote_age)
        return min((age for age in ages if age is not None), default=None)


@dataclass(frozen=True)
class StreamFacts:
    """One stream as control, status and lock show it; ages in seconds, None where there is nothing yet."""

    name: str
    desired: str = "running"
    state: str | None = None
    locked: bool = False
    runner_age: float | None = None
    heartbeat_age: float | None = None
    uptime: float | None = None
    ready_age: float | None = None
    progress_age: float | None = None
    rows_age: float | None = None
    lag: int | None = None
    rows_total: int = 0
    batch_rows: int | None = None
    batch_ms: float | None = None
    restarts: int = 0
    next_start_in: float | None = None
    asked_generation: int = 0
    generation: int | None = None
    last_error: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    pairs: Sequence[PairFacts] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any], pairs: Sequence[PairFacts] = ()) -> StreamFacts:
        """The facts in a row of the query `stream_facts`."""
        return cls(**{name: value for name, value in row.items() if name in cls.__dataclass_fields__}, pairs=pairs)

    @property
    def batch_for(self) -> float:
        """Seconds that the batch under way has taken so far; 0 between batches."""
        return float(self.detail.get("batch_for_s") or 0)

    @property
    def restart_pending(self) -> bool:
        """A restart was asked for and the runner has not begun it."""
        return self.generation is not None and self.generation < self.asked_generation
