"""Whether a stream is healthy, and what to do about it: decisions only, without a clock or a database.

    facts of a stream, memory of earlier evaluations -> verdict and reason -> restart? alert? -> new memory

A market without trades is healthy: the exchange's heartbeats, and what its REST interface says of a pair, tell a quiet
market from a silent connection. A restart does not help a stream that waits for the exchange or the broker, and a
collector that is restarted while the broker is away loses its buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from typing import Any, Final

from cryptoviz.remote.backoff import Backoff
from cryptoviz.streams.facts import HealthLimits, PairFacts, StreamFacts

_HOUR_S: Final = 3600.0


class Verdict(StrEnum):
    """The state of a stream as the supervisor sees it."""

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
    """The state of one pair of a collector."""

    LIVE = auto()
    QUIET = auto()
    LAGGING = auto()
    SILENT = auto()
    REFUSED = auto()


@dataclass(frozen=True)
class PairMemory:
    """A pair's state, since when (Unix seconds), and how often in a row its newest trade was not stored."""

    state: PairState
    since: float
    unstored: int = 0


@dataclass(frozen=True)
class StreamMemory:
    """What the supervisor remembers of a stream between two evaluations."""

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
    """The verdict on a stream and what follows from it.

    `severity` is that of the alert, None for no alert; `settled`: the stream is in the state that it should be in;
    `exhausted`: it was restarted so often that it is not restarted for a while.
    """

    verdict: Verdict
    reason: str
    restart: bool
    severity: str | None
    memory: StreamMemory
    settled: bool
    exhausted: bool = False

    @property
    def well(self) -> bool:
        """Whether no alert is due and the stream runs, or is stopped as requested."""
        return self.severity is None and self.settled

    @property
    def message(self) -> str:
        """The verdict in a sentence."""
        return f"{self.verdict}: {self.reason}" if self.reason else str(self.verdict)


def decide(
    facts: StreamFacts, before: StreamMemory, limits: HealthLimits, now: float, *, behind: Sequence[str] = ()
) -> Decision:
    """Judge a stream. `behind`: series whose newest trades the collectors sent and the database does not have.

    Conditions that have to hold several times in a row are counted at most once in `apart_s` seconds: the verdict does
    not depend on how often this is called.
    """
    memory = _remember(facts, before, limits, now)
    verdict, reason = _judge(facts, memory, limits, behind, now)
    needed = _needs_restart(verdict, facts, memory, limits)
    allowed = may_restart(memory.restarts, limits, now)
    restart = needed and allowed and not facts.restart_pending
    exhausted = needed and len(memory.restarts) >= limits.restarts_an_hour
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


def may_restart(restarts: Sequence[float], limits: HealthLimits, now: float) -> bool:
    """Whether one more restart is allowed: the pause doubles with each within the last hour, up to a number."""
    if len(restarts) >= limits.restarts_an_hour:
        return False
    return not restarts or now - restarts[-1] >= Backoff(limits.first_pause_s, _HOUR_S).bound(len(restarts))


def pairs_behind(collectors: Mapping[str, StreamMemory]) -> list[str]:
    """The pairs of these collectors (by exchange) that the database lags behind, as exchange:pair."""
    return [
        f"{exchange}:{pair}"
        for exchange, memory in collectors.items()
        for pair, known in memory.pairs.items()
        if known.state is PairState.LAGGING
    ]


def _remember(facts: StreamFacts, before: StreamMemory, limits: HealthLimits, now: float) -> StreamMemory:
    lag = facts.lag or 0
    noticeable = lag > limits.lag // 10
    ready = facts.state == "running"
    # A stream that stores rows or works on a batch gets further than it would after a restart, however slowly.
    idle = facts.rows_total == before.rows and not facts.batch_for
    count = _ConsecutiveCount(before, limits, now)
    return replace(
        before,
        looked_at=now,
        lag=lag,
        rows=facts.rows_total,
        lagging=count(before.lagging, ready and (lag > limits.lag or (noticeable and lag > before.lag))),
        idle=count(before.idle, ready and noticeable and lag >= before.lag and idle),
        unready_since=None if ready else (before.unready_since if count.known else None) or now,
        disconnected=count(before.disconnected, ready and facts.detail.get("connected") is False),
        restarts=tuple(at for at in before.restarts if now - at < _HOUR_S),
        pairs={
            pair.pair: _remember_pair(pair, before.pairs.get(pair.pair), facts, limits, count) for pair in facts.pairs
        },
    )


class _ConsecutiveCount:
    """How many evaluations in a row a condition held; close ones count once, after a long pause it starts anew."""

    def __init__(self, before: StreamMemory, limits: HealthLimits, now: float) -> None:
        self.now = now
        passed = now - before.looked_at
        self._step = 1 if passed >= limits.apart_s else 0
        self.known = passed <= limits.forget_s

    def __call__(self, before: int, holds: bool) -> int:
        return max(1, (before if self.known else 0) + self._step) if holds else 0


def _remember_pair(
    pair: PairFacts, before: PairMemory | None, facts: StreamFacts, limits: HealthLimits, count: _ConsecutiveCount
) -> PairMemory:
    sent = facts.detail.get("broker") is not False
    unstored = count(before.unstored if before is not None else 0, sent and _unstored(pair, limits))
    state = _pair_state(pair, unstored, limits)
    since = before.since if before is not None and before.state is state else count.now
    return PairMemory(state, since, unstored)


def _unstored(pair: PairFacts, limits: HealthLimits) -> bool:
    """The collector has a newer trade than the database, by more than storing can take."""
    if pair.heard_age is None or pair.heard_age > limits.live_s:
        return False
    stored = pair.trade_age if pair.trade_age is not None else float("inf")
    return stored > limits.live_s and stored - pair.heard_age > limits.unstored_s


def _pair_state(pair: PairFacts, unstored: int, limits: HealthLimits) -> PairState:
    if pair.refused:
        return PairState.REFUSED
    # Once may be the first trade after a pause, still on its way to the table; twice, half a minute apart, is not.
    if unstored > 1:
        return PairState.LAGGING
    age = pair.newest_age()
    if age is not None and age <= limits.live_s:
        return PairState.SILENT if pair.deaf_for is not None else PairState.LIVE
    unwatched = pair.asked_age is not None and min(pair.asked_age, pair.heard_age or 0) > 2 * limits.quiet_s
    return PairState.SILENT if pair.deaf_for is not None or unwatched else PairState.QUIET


def _judge(
    facts: StreamFacts, memory: StreamMemory, limits: HealthLimits, behind: Sequence[str], now: float
) -> tuple[Verdict, str]:
    if facts.desired == "stopped":
        return Verdict.STOPPED, "asked to stand still"
    if facts.state is None or facts.runner_age is None:
        return Verdict.DEAD, "no runner has ever reported"
    if facts.runner_age > limits.dead_s:
        return Verdict.DEAD, f"no runner: its last sign of life was {facts.runner_age:.0f} s ago"
    if facts.state != "running":
        return _judge_start(facts, memory, limits, now)
    return next(_findings(facts, memory, limits, behind), (Verdict.HEALTHY, ""))


def _judge_start(facts: StreamFacts, memory: StreamMemory, limits: HealthLimits, now: float) -> tuple[Verdict, str]:
    why = f": {facts.last_error}" if facts.last_error else ""
    soon = f", next start in {max(0, facts.next_start_in):.0f} s" if facts.next_start_in is not None else ""
    if facts.restarts >= limits.failed_starts or facts.state == "failed":
        return Verdict.DOWN, f"its worker ended {facts.restarts} times{soon}{why or ': no reason known'}"
    unready = now - (memory.unready_since or now)
    if unready > limits.start_s:
        return Verdict.DOWN, f"{facts.state} for {unready:.0f} s{why}"
    return Verdict.STARTING, f"{facts.state}{soon}{why}"


def _findings(
    facts: StreamFacts, memory: StreamMemory, limits: HealthLimits, behind: Sequence[str]
) -> Iterator[tuple[Verdict, str]]:
    """The findings on a stream whose worker runs, the gravest first."""
    lag = facts.lag or 0
    if facts.restarts >= limits.failed_starts:
        yield Verdict.DOWN, f"its worker ended {facts.restarts} times; it runs again for {facts.uptime or 0:.0f} s"
    if facts.uptime is not None and facts.uptime < limits.grace_s:
        yield Verdict.STARTING, f"started {facts.uptime:.0f} s ago"
    if facts.restart_pending:
        yield Verdict.STARTING, "a restart was asked for and has not begun"
    if facts.detail.get("broker") is False:
        yield Verdict.WAITING, f"the broker does not answer; {lag} messages wait in the buffer"
    if facts.heartbeat_age is not None and facts.heartbeat_age > limits.mute_s:
        yield Verdict.STUCK, f"its worker has been silent for {facts.heartbeat_age:.0f} s"
    if facts.progress_age is not None and facts.progress_age > limits.stuck_s and lag > 0:
        yield Verdict.STUCK, f"no progress for {facts.progress_age:.0f} s with {lag} messages to go"
    if behind:
        yield _judge_behind(facts, limits, f"trades that were sent are not stored: {_first_names(behind)}")
    if memory.disconnected > 1:
        yield Verdict.WAITING, f"not connected: {facts.detail.get('last_disconnect') or 'the exchange is away'}"
    frame_age = facts.detail.get("frame_age")
    if frame_age is not None and frame_age > limits.silent_s:
        yield Verdict.SILENT, f"connected, and not even a heartbeat for {frame_age:.0f} s"
    silent = [pair for pair, known in memory.pairs.items() if known.state is PairState.SILENT]
    if silent:
        yield Verdict.SILENT, f"the exchange trades {_first_names(silent)} and sends nothing of it"
    if memory.lagging >= limits.lag_evaluations:
        yield Verdict.LAGGING, f"{lag} messages behind, {memory.lagging} evaluations in a row"
    if facts.pairs and all(known.state is PairState.QUIET for known in memory.pairs.values()):
        yield Verdict.QUIET, "connected; no pair is traded now"


def _judge_behind(facts: StreamFacts, limits: HealthLimits, late: str) -> tuple[Verdict, str]:
    if _is_starting(facts, limits):
        # It still has to store what its predecessor left; a restart would only throw away its work so far.
        return Verdict.STARTING, "its first batches are under way"
    if facts.batch_for and (facts.progress_age or 0) <= limits.stuck_s:
        return Verdict.LAGGING, f"a batch has been under way for {facts.batch_for:.0f} s; {late}"
    if (idle := _seconds_without_rows(facts)) > limits.stuck_s:
        return Verdict.STUCK, f"no rows for {idle:.0f} s; {late}"
    # It stores rows: it catches up, or a few pairs are late. A restart would delay all the others.
    return Verdict.LAGGING, late


def _is_starting(facts: StreamFacts, limits: HealthLimits) -> bool:
    """Whether a worker has just finished its first work, or may still need time for it, as on a slow machine."""
    if facts.ready_age is None:
        return (facts.uptime or 0) < limits.start_s
    return facts.ready_age < limits.grace_s


def _seconds_without_rows(facts: StreamFacts) -> float:
    """Seconds since this worker stored a row; the rows of its predecessor do not count."""
    return min((age for age in (facts.rows_age, facts.uptime) if age is not None), default=0.0)


def _needs_restart(verdict: Verdict, facts: StreamFacts, memory: StreamMemory, limits: HealthLimits) -> bool:
    if verdict is Verdict.STUCK:
        return True
    if verdict is Verdict.LAGGING:
        return memory.idle >= limits.lag_restart_evaluations
    if verdict is Verdict.SILENT:
        # First the collector itself subscribes anew, then reconnects, `quiet_s` apart.
        heal_s = 2 * limits.quiet_s + limits.grace_s
        frame_age = facts.detail.get("frame_age") or 0
        deaf = max((pair.deaf_for or 0 for pair in facts.pairs), default=0)
        unwatched = any(
            pair.asked_age is not None and pair.deaf_for is None and pair.asked_age > 2 * limits.quiet_s
            for pair in facts.pairs
            if memory.pairs[pair.pair].state is PairState.SILENT
        )
        return frame_age > limits.silent_s or deaf > heal_s or unwatched
    return False


def _first_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def memory_to_json(memory: StreamMemory) -> dict[str, Any]:
    """The memory as plain JSON values."""
    pairs = {pair: [known.state, known.since, known.unstored] for pair, known in memory.pairs.items()}
    return {**vars(memory), "restarts": list(memory.restarts), "pairs": pairs}


def memory_from_json(values: Mapping[str, Any]) -> StreamMemory | None:
    """The memory that `memory_to_json` wrote; None for the values of another version of this code."""
    try:
        pairs = {
            pair: PairMemory(PairState(state), since, unstored)
            for pair, (state, since, unstored) in values["pairs"].items()
        }
        known = {"verdict": Verdict(values["verdict"]), "restarts": tuple(values["restarts"]), "pairs": pairs}
        return StreamMemory(**{**values, **known})
    except (KeyError, TypeError, ValueError):
        return None
