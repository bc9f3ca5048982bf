"""How long the stack needs after an action, in seconds from its end, and whether that is within its limits.

back       the part answers as its own health check asks, with a sign of life from after the action; where the process
           was killed, another one has taken its place
rows       from here on no two seconds pass in which no new trade of the exchanges concerned is stored
lag zero   from here on the trades not yet stored (those after the newest stored one of each pair, and those in gaps
           that are still open) are at most one second of load, and the newest stored one is at most two seconds old

An action is over when all three have held for three seconds in a row. What held all the time took no seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from cryptoviz.processes import Process
from cryptoviz.stack import health
from cryptoviz.stack.services import services
from cryptoviz.storage.queries import query
from tests.chaos.actions import Action
from tests.chaos.stack import LocalStack
from tests.chaos.watch import Seen, Watch

_STANDSTILL_S = 2.0
_FRESH_S = 2.0
_SETTLED_S = 3.0
_GIVE_UP_S = 120.0
_POLL_S = 0.2
_SIGN_OF_LIFE_S = 3.0


@dataclass
class Mark:
    """Since when something has held without interruption; None while it does not."""

    since: float | None = None

    def note(self, holds: bool, now: float) -> None:
        if not holds:
            self.since = None
        elif self.since is None:
            self.since = now

    def seconds(self, ended: float) -> float | None:
        """Seconds from the end of the action, to a tenth: more the poll does not know."""
        return None if self.since is None else round(max(0.0, self.since - ended), 1)


@dataclass
class Recovery:
    """What an action cost. Instants are seconds since the epoch; `started` and `ended` are the action's."""

    action: Action
    started: float
    ended: float = 0.0
    back: Mark = field(default_factory=Mark)
    rows: Mark = field(default_factory=Mark)
    lag_zero: Mark = field(default_factory=Mark)
    lost: int = 0
    doubled: int = 0

    @property
    def in_time(self) -> bool:
        """Whether the limits were kept."""
        back_s, lag_zero_s = self.back.seconds(self.ended), self.lag_zero.seconds(self.ended)
        return (
            back_s is not None
            and back_s <= self.action.back_s
            and self.rows.since is not None
            and lag_zero_s is not None
            and lag_zero_s <= self.action.lag_zero_s
        )

    @property
    def ok(self) -> bool:
        """Whether the limits were kept and the data are exact."""
        return self.in_time and not self.lost and not self.doubled

    def over(self, now: float) -> bool:
        """Whether all has held for long enough, or it is no use to wait."""
        marks = (self.back, self.rows, self.lag_zero)
        held = all(mark.since is not None and now - mark.since >= _SETTLED_S for mark in marks)
        return (held and now - self.ended >= _SETTLED_S) or now - self.ended > max(_GIVE_UP_S, self.action.lag_zero_s)


def perform(action: Action, stack: LocalStack, watch: Watch) -> Recovery:
    """Do it, and look on until the stack has recovered."""
    before = action.target.find(stack)
    assert before, f"{action.name}: there is no such process"
    recovery = Recovery(action, time.time())
    action.do(stack)
    recovery.ended = time.time()
    while not recovery.over(now := time.time()):
        seen = watch.seen if watch.seen is not None and now - watch.seen.at <= _STANDSTILL_S else None
        current = seen is not None and seen.at > recovery.ended
        recovery.back.note(_back(action, before, stack, seen if current else None, recovery.ended), now)
        flows = all(now - watch.grew[exchange] <= _STANDSTILL_S for exchange in action.target.exchanges)
        recovery.rows.note(flows, now)
        recovery.lag_zero.note(seen is not None and lag_zero(action.target.exchanges, seen, watch), now)
        time.sleep(_POLL_S)
    return recovery


def lag_zero(exchanges: Sequence[str], seen: Seen, watch: Watch) -> bool:
    """Whether what is not stored of these exchanges is what is on its way, as the module says."""
    return watch.unstored(seen, exchanges) <= watch.rate * len(exchanges) and all(
        watch.newest_age(seen, exchange) <= _FRESH_S for exchange in exchanges
    )


def _back(action: Action, before: list[Process], stack: LocalStack, seen: Seen | None, ended: float) -> bool:
    found = action.target.find(stack)
    if not found or (action.replaces and (before[0].alive() or found[0].pid == before[0].pid)):
        return False
    part = action.target.part
    match part:
        case "postgres":
            return seen is not None
        case "kafka":
            return stack.kafka.ready()
        case "dagster-daemon":
            return _daemon_reports(stack, ended if action.replaces else 0.0)
    service = next(one for one in services(stack.settings) if one.name == part)
    if service.stream is None:
        return health.probe(service, stack.settings).healthy
    row = None if seen is None else seen.streams.get(service.stream)
    found_well = health.probe(service, stack.settings, stack.pid(part)).healthy
    return found_well and row is not None and row["heartbeat_age"] <= _SIGN_OF_LIFE_S


def _daemon_reports(stack: LocalStack, since: float) -> bool:
    """Whether the daemon has written a heartbeat after this instant."""
    try:
        with psycopg.connect(stack.settings.dagster_database(), connect_timeout=2) as connection:
            row = connection.execute(query("dagster_heartbeat")).fetchone()
    except psycopg.Error:
        return False
    return row is not None and row[0] is not None and time.time() - row[0] > since
