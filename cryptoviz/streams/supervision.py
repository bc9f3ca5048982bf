"""How a stream is, and what to do about it: decisions only, without a clock or a database.

    facts of a stream, what was seen before -> verdict and reason -> restart it? alert? -> what to remember

A market without trades is healthy: the exchange's heartbeats, and what its REST interface says of a pair, tell quiet
from silent. Whatever a stream waits for (exchange, broker) is not healed by a restart, and a collector that is
restarted while the broker is away loses its buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from typing import Any, Final

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.settings import Settings

COLLECTOR: Final = "collector_"
INGESTION: Final = "ingestion"
_HOUR_S: Final = 3600.0


class Stream(StrEnum):
    """The streams there can be: a collector for each exchange, and the rest. Which run is a matter of settings."""

    _ignore_ = "_exchange"
    for _exchange in EXCHANGES:
        vars()[f"{COLLECTOR}{_exchange}"] = f"{COLLECTOR}{_exchange}"
    ingestion = auto()


class Verdict(StrEnum):
    """How a stream is."""

    HEALTHY = auto()
    QUIET = auto()
    STARTING = auto()
    STOPPED = auto()
    WAITING = auto()
    LAGGING = auto()
    SILENT = auto()
    STUCK = auto()
    DOWN = auto()
    DEAD = auto()


WORKING: Final = frozenset({Verdict.HEALTHY, Verdict.QUIET, Verdict.LAGGING})
"""Verdicts under which the stream does its work: it may count as fresh."""
ALL_CLEAR: Final = frozenset({Verdict.HEALTHY, Verdict.QUIET, Verdict.STOPPED})
"""Verdicts that end an alert. A stream that starts has not shown anything yet."""
_CRITICAL: Final = frozenset({Verdict.STUCK, Verdict.DOWN, Verdict.DEAD})
_WARNING: Final = frozenset({Verdict.WAITING, Verdict.LAGGING, Verdict.SILENT})


class PairState(StrEnum):
    """How one pair of a collector is."""

    LIVE = auto()
    QUIET = auto()
    LAGGING = auto()
    SILENT = auto()
    REFUSED = auto()


@dataclass(frozen=True)
class Bounds:
    """What is still healthy, in seconds and messages."""

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
    def of(cls, settings: Settings) -> Bounds:
        """The bounds that follow from the settings."""
        return cls(
            # The runner itself replaces a worker that is silent or stands still, or does not begin: only where it does
            # not, something else must.
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
    """One pair: ages of its newest stored trade and ticker, and what its collector says. None: not known."""

    pair: str
    trade_age: float | None = None
    ticker_age: float | None = None
    heard_age: float | None = None
    quote_age: float | None = None
    asked_age: float | None = None
    deaf_for: float | None = None
    refused: str = ""

    def newest_age(self) -> float | None:
        """Seconds since anything of this pair was heard or stored."""
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


@dataclass(frozen=True)
class PairMemory:
    """A pair's state, since when (Unix seconds), and how often in a row its newest trade was not stored."""

    state: PairState
    since: float
    unstored: int = 0


@dataclass(frozen=True)
class Memory:
    """What is remembered of a stream from one evaluation to the next."""

    verdict: Verdict = Verdict.STARTING
    since: float = 0
    looked_at: float = 0
    lag: int = 0
    rows: int = 0
    lagging: int = 0
    idle: int = 0
    unready_since: float | None = None
    disconnected: int = 0
    restarts: tuple[float, ...] = ()
    reported_at: float = 0
    pairs: Mapping[str, PairMemory] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """How a stream is and what follows.

    `severity` is None where nobody needs to know; `settled`: it is in the state that it should be in.
    """

    verdict: Verdict
    reason: str
    restart: bool
    severity: str | None
    memory: Memory
    settled: bool
    exhausted: bool = False

    @property
    def well(self) -> bool:
        """Whether nobody needs to know, or do anything: at work, or standing still as asked."""
        return self.severity is None and self.settled

    @property
    def message(self) -> str:
        """The verdict in a sentence."""
        return f"{self.verdict}: {self.reason}" if self.reason else str(self.verdict)


def decide(facts: StreamFacts, before: Memory, bounds: Bounds, now: float, *, behind: Sequence[str] = ()) -> Decision:
    """Judge a stream. `behind` are series whose newest trades the collectors sent and the database does not have.

    What has to be seen several times in a row is counted once in a while only: the verdict does not depend on how often
    somebody asks.
    """
    memory = _remember(facts, before, bounds, now)
    verdict, reason = _judge(facts, memory, bounds, behind, now)
    wanted = _wants_restart(verdict, facts, memory, bounds)
    allowed = may_restart(memory.restarts, bounds, now)
    restart = wanted and allowed and not facts.restart_pending
    exhausted = wanted and len(memory.restarts) >= bounds.restarts_an_hour
    if exhausted:
        reason += f"; restarted {len(memory.restarts)} times within an hour without effect, not again for a while"
    memory = replace(
        memory,
        verdict=verdict,
        since=before.since if verdict is before.verdict and before.since else now,
        restarts=(*memory.restarts, now) if restart else memory.restarts,
    )
    severity = "critical" if verdict in _CRITICAL or exhausted else "warning" if verdict in _WARNING else None
    settled = facts.state == ("stopped" if verdict is Verdict.STOPPED else "running")
    return Decision(verdict, reason, restart, severity, memory, settled, exhausted)


def may_restart(restarts: Sequence[float], bounds: Bounds, now: float) -> bool:
    """Whether one more restart is allowed: the pause doubles with each within the last hour, up to a number."""
    if len(restarts) >= bounds.restarts_an_hour:
        return False
    return not restarts or now - restarts[-1] >= bounds.first_pause_s * 2.0 ** (len(restarts) - 1)


def behind(collectors: Mapping[str, Memory]) -> list[str]:
    """The pairs of these collectors (by exchange) that the database lags behind, as exchange:pair."""
    return [
        f"{exchange}:{pair}"
        for exchange, memory in collectors.items()
        for pair, known in memory.pairs.items()
        if known.state is PairState.LAGGING
    ]


def _remember(facts: StreamFacts, before: Memory, bounds: Bounds, now: float) -> Memory:
    lag = facts.lag or 0
    noticeable = lag > bounds.lag // 10
    ready = facts.state == "running"
    # One that stores rows, or works on a batch, gets further than it would after a restart, however slowly.
    idle = facts.rows_total == before.rows and not facts.batch_for
    count = _Count(before, bounds, now)
    return replace(
        before,
        looked_at=now,
        lag=lag,
        rows=facts.rows_total,
        lagging=count(before.lagging, ready and (lag > bounds.lag or (noticeable and lag > before.lag))),
        idle=count(before.idle, ready and noticeable and lag >= before.lag and idle),
        unready_since=None if ready else (before.unready_since if count.known else None) or now,
        disconnected=count(before.disconnected, ready and facts.detail.get("connected") is False),
        restarts=tuple(at for at in before.restarts if now - at < _HOUR_S),
        pairs={
            pair.pair: _remember_pair(pair, before.pairs.get(pair.pair), facts, bounds, count) for pair in facts.pairs
        },
    )


class _Count:
    """How often in a row something was seen: looks that follow each other at once are one, old ones are forgotten."""

    def __init__(self, before: Memory, bounds: Bounds, now: float) -> None:
        self.now = now
        passed = now - before.looked_at
        self._step = 1 if passed >= bounds.apart_s else 0
        self.known = passed <= bounds.forget_s

    def __call__(self, before: int, holds: bool) -> int:
        return max(1, (before if self.known else 0) + self._step) if holds else 0


def _remember_pair(
    pair: PairFacts, before: PairMemory | None, facts: StreamFacts, bounds: Bounds, count: _Count
) -> PairMemory:
    sent = facts.detail.get("broker") is not False
    unstored = count(before.unstored if before is not None else 0, sent and _unstored(pair, bounds))
    state = _pair_state(pair, unstored, bounds)
    since = before.since if before is not None and before.state is state else count.now
    return PairMemory(state, since, unstored)


def _unstored(pair: PairFacts, bounds: Bounds) -> bool:
    """The collector has a newer trade than the database, by more than storing can take."""
    if pair.heard_age is None or pair.heard_age > bounds.live_s:
        return False
    stored = pair.trade_age if pair.trade_age is not None else float("inf")
    return stored > bounds.live_s and stored - pair.heard_age > bounds.unstored_s


def _pair_state(pair: PairFacts, unstored: int, bounds: Bounds) -> PairState:
    if pair.refused:
        return PairState.REFUSED
    # Once may be the first trade after a pause, on its way to the table; twice, half a minute apart, is not.
    if unstored > 1:
        return PairState.LAGGING
    age = pair.newest_age()
    if age is not None and age <= bounds.live_s:
        return PairState.SILENT if pair.deaf_for is not None else PairState.LIVE
    unwatched = pair.asked_age is not None and min(pair.asked_age, pair.heard_age or 0) > 2 * bounds.quiet_s
    return PairState.SILENT if pair.deaf_for is not None or unwatched else PairState.QUIET


def _judge(
    facts: StreamFacts, memory: Memory, bounds: Bounds, behind: Sequence[str], now: float
) -> tuple[Verdict, str]:
    if facts.desired == "stopped":
        return Verdict.STOPPED, "asked to stand still"
    if facts.state is None or facts.runner_age is None:
        return Verdict.DEAD, "no runner has ever reported"
    if facts.runner_age > bounds.dead_s:
        return Verdict.DEAD, f"no runner: its last sign of life was {facts.runner_age:.0f} s ago"
    if facts.state != "running":
        return _judge_start(facts, memory, bounds, now)
    return next(_findings(facts, memory, bounds, behind), (Verdict.HEALTHY, ""))


def _judge_start(facts: StreamFacts, memory: Memory, bounds: Bounds, now: float) -> tuple[Verdict, str]:
    why = f": {facts.last_error}" if facts.last_error else ""
    soon = f", next start in {max(0, facts.next_start_in):.0f} s" if facts.next_start_in is not None else ""
    if facts.restarts >= bounds.failed_starts or facts.state == "failed":
        return Verdict.DOWN, f"its worker ended {facts.restarts} times{soon}{why or ': no reason known'}"
    unready = now - (memory.unready_since or now)
    if unready > bounds.start_s:
        return Verdict.DOWN, f"{facts.state} for {unready:.0f} s{why}"
    return Verdict.STARTING, f"{facts.state}{soon}{why}"


def _findings(
    facts: StreamFacts, memory: Memory, bounds: Bounds, behind: Sequence[str]
) -> Iterator[tuple[Verdict, str]]:
    """What there is to say of a stream at work, the gravest first."""
    lag = facts.lag or 0
    if facts.restarts >= bounds.failed_starts:
        yield Verdict.DOWN, f"its worker ended {facts.restarts} times; it runs again for {facts.uptime or 0:.0f} s"
    if facts.uptime is not None and facts.uptime < bounds.grace_s:
        yield Verdict.STARTING, f"started {facts.uptime:.0f} s ago"
    if facts.restart_pending:
        yield Verdict.STARTING, "a restart was asked for and has not begun"
    if facts.detail.get("broker") is False:
        yield Verdict.WAITING, f"the broker does not answer; {lag} messages wait in the buffer"
    if facts.heartbeat_age is not None and facts.heartbeat_age > bounds.mute_s:
        yield Verdict.STUCK, f"its worker has been silent for {facts.heartbeat_age:.0f} s"
    if facts.progress_age is not None and facts.progress_age > bounds.stuck_s and lag > 0:
        yield Verdict.STUCK, f"no progress for {facts.progress_age:.0f} s with {lag} messages to go"
    if behind:
        yield _judge_behind(facts, bounds, f"trades that were sent are not stored: {_some(behind)}")
    if memory.disconnected > 1:
        yield Verdict.WAITING, f"not connected: {facts.detail.get('last_disconnect') or 'the exchange is away'}"
    frame_age = facts.detail.get("frame_age")
    if frame_age is not None and frame_age > bounds.silent_s:
        yield Verdict.SILENT, f"connected, and not even a heartbeat for {frame_age:.0f} s"
    silent = [pair for pair, known in memory.pairs.items() if known.state is PairState.SILENT]
    if silent:
        yield Verdict.SILENT, f"the exchange trades {_some(silent)} and sends nothing of it"
    if memory.lagging >= bounds.lag_evaluations:
        yield Verdict.LAGGING, f"{lag} messages behind, {memory.lagging} evaluations in a row"
    if facts.pairs and all(known.state is PairState.QUIET for known in memory.pairs.values()):
        yield Verdict.QUIET, "connected; no pair is traded now"


def _judge_behind(facts: StreamFacts, bounds: Bounds, late: str) -> tuple[Verdict, str]:
    if _begins(facts, bounds):
        # What its predecessor left is still to be stored; a restart would only throw away what was done so far.
        return Verdict.STARTING, "its first batches are under way"
    if facts.batch_for and (facts.progress_age or 0) <= bounds.stuck_s:
        return Verdict.LAGGING, f"a batch has been under way for {facts.batch_for:.0f} s; {late}"
    if (dry := _dry_for(facts)) > bounds.stuck_s:
        return Verdict.STUCK, f"no rows for {dry:.0f} s; {late}"
    # It stores something: it catches up, or a few pairs are late. A restart would hold up all the others.
    return Verdict.LAGGING, late


def _begins(facts: StreamFacts, bounds: Bounds) -> bool:
    """Whether a worker has just done its first work, or may still need time for it, as on a slow machine."""
    if facts.ready_age is None:
        return (facts.uptime or 0) < bounds.start_s
    return facts.ready_age < bounds.grace_s


def _dry_for(facts: StreamFacts) -> float:
    """Seconds that this worker has stored nothing; the rows of its predecessor do not count."""
    return min((age for age in (facts.rows_age, facts.uptime) if age is not None), default=0.0)


def _wants_restart(verdict: Verdict, facts: StreamFacts, memory: Memory, bounds: Bounds) -> bool:
    if verdict is Verdict.STUCK:
        return True
    if verdict is Verdict.LAGGING:
        return memory.idle >= bounds.lag_restart_evaluations
    if verdict is Verdict.SILENT:
        # The collector itself subscribes anew, then reconnects, `quiet_s` apart: only when that did not help.
        heal_s = 2 * bounds.quiet_s + bounds.grace_s
        frame_age = facts.detail.get("frame_age") or 0
        deaf = max((pair.deaf_for or 0 for pair in facts.pairs), default=0)
        unwatched = any(
            pair.asked_age is not None and pair.deaf_for is None and pair.asked_age > 2 * bounds.quiet_s
            for pair in facts.pairs
            if memory.pairs[pair.pair].state is PairState.SILENT
        )
        return frame_age > bounds.silent_s or deaf > heal_s or unwatched
    return False


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def dumped(memory: Memory) -> dict[str, Any]:
    """What is remembered, as plain JSON values."""
    pairs = {pair: [known.state, known.since, known.unstored] for pair, known in memory.pairs.items()}
    return {**vars(memory), "restarts": list(memory.restarts), "pairs": pairs}


def loaded(values: Mapping[str, Any]) -> Memory | None:
    """What `dumped` wrote; None for what another version of this code wrote."""
    try:
        pairs = {
            pair: PairMemory(PairState(state), since, unstored)
            for pair, (state, since, unstored) in values["pairs"].items()
        }
        known = {"verdict": Verdict(values["verdict"]), "restarts": tuple(values["restarts"]), "pairs": pairs}
        return Memory(**{**values, **known})
    except (KeyError, TypeError, ValueError):
        return None
