"""Keep the history complete: look at the last hours of every series, and have exchanges asked about what is missing.

    candles, trades --look--> candle_gaps, trade_gaps, completeness -> what is due -> decision -> run of `heal_history`
                                                        \\-> every five minutes: a materialization of `completeness`

Looking is milliseconds of work in the database. A run costs seconds of CPU: a few quiet minutes are gathered for one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.gaps import HEAL_HISTORY, RECENT, RECENT_TRADES, LookConfig, state_metadata
from assets.keys import CANDLE_GAPS, COMPLETENESS, TRADE_GAPS
from assets.resources import Database
from cryptoviz.clock import now
from cryptoviz.gaps.completeness import HistoryState, read
from cryptoviz.gaps.differences import compare
from cryptoviz.gaps.scan import GRACE, WaitingWork, collected_series, due, pairs_of, scan, scan_trades
from cryptoviz.settings import settings
from cryptoviz.storage import driver
from sensors.guards import run_under_way, skip_while_database_is_away

if TYPE_CHECKING:
    from psycopg import Connection

INTERVAL_S: Final = 60
TRADES_EVERY: Final = timedelta(minutes=5)
TOLD_EVERY: Final = timedelta(minutes=5)
WHOLE_EVERY: Final = timedelta(days=1)
FIRST_WHOLE_AFTER: Final = timedelta(minutes=10)
"""A new installation has its hands full at first."""

MANY: Final = 5
"""So many missing candles or trades are asked about at once."""

GATHERED: Final = timedelta(minutes=3)
"""Fewer wait so long: in a thin market a minute without trades is nothing unusual."""

EXPLAINED_AFTER: Final = timedelta(minutes=15)
PAUSE: Final = timedelta(minutes=1)
PAUSE_AFTER_FAILURE: Final = timedelta(minutes=15)
_LONGEST_STATEMENT: Final = "set statement_timeout = '20s'"


@dataclass(frozen=True)
class ScanMemory:
    """What the sensor remembers: how many runs it asked for, and when it last did what (Unix seconds)."""

    attempt: int = 0
    requested_at: float = 0
    whole: float = 0
    trades: float = 0
    reported_at: float = 0


def decide(waiting: Mapping[str, WaitingWork], memory: ScanMemory, at: datetime, *, failed: bool) -> tuple[str, bool]:
    """Why to start a run now (empty: do not), and whether it is to look at the whole history.

    `failed`: the run before did.
    """
    since_asked = at.timestamp() - memory.requested_at
    if since_asked < (PAUSE_AFTER_FAILURE if failed else PAUSE).total_seconds():
        return "", False
    if at.timestamp() - memory.whole >= WHOLE_EVERY.total_seconds():
        return "the whole history, once a day", True
    reasons = [
        f"{work.missing} {kind} in {work.gaps} gaps"
        for kind, work in waiting.items()
        if kind != "differences" and work.since and (work.missing >= MANY or at - work.since >= GATHERED)
    ]
    differing = waiting["differences"]
    if differing.since and at - differing.since >= EXPLAINED_AFTER:
        reasons.append(f"{differing.gaps} differences without a cause")
    return "; ".join(reasons), False


@dg.sensor(
    job=HEAL_HISTORY,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Looks for gaps in the last hours of every series, tells how complete the history is, and starts a run where an"
        " exchange should be asked; once a day that run looks over the whole history."
    ),
)
@skip_while_database_is_away
def gaps_due(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """Runs are never stacked: what is missing while one is under way is left to the next."""
    at, began = now(), time.monotonic()
    memory = _remembered(context.cursor, at)
    try:
        with database.writer() as connection:
            connection.execute(_LONGEST_STATEMENT)
            waiting, state, memory = _look(connection, memory, at)
    except driver.QueryCanceled as error:
        memory = _given_up(memory, at)
        return dg.SensorResult(
            cursor=json.dumps(asdict(memory)),
            skip_reason=dg.SkipReason(f"a look took too long and was given up: {str(error).strip()}"),
        )
    events = [dg.AssetMaterialization(COMPLETENESS, metadata=state_metadata(state))] if state else []
    words = ", ".join(f"{work.missing} {kind}" for kind, work in waiting.items())
    reason, whole = "", False
    if not run_under_way(context.instance, HEAL_HISTORY.name):
        reason, whole = decide(waiting, memory, at, failed=_failed(context.instance))
    if reason:
        memory = replace(
            memory,
            attempt=memory.attempt + 1,
            requested_at=at.timestamp(),
            whole=at.timestamp() if whole else memory.whole,
        )
    return dg.SensorResult(
        asset_events=events,
        run_requests=[_request(memory.attempt, reason, whole=whole)] if reason else [],
        cursor=json.dumps(asdict(memory)),
        skip_reason=None if reason else dg.SkipReason(f"looked in {time.monotonic() - began:.2f} s; waiting: {words}"),
    )


def _given_up(memory: ScanMemory, at: datetime) -> ScanMemory:
    """What to remember of a look that was cancelled: the first rare thing that was due waits for its next turn."""
    if at.timestamp() - memory.trades >= TRADES_EVERY.total_seconds():
        return replace(memory, trades=at.timestamp())
    return replace(memory, reported_at=at.timestamp())


def _look(
    connection: Connection[Any], memory: ScanMemory, at: datetime
) -> tuple[dict[str, WaitingWork], HistoryState | None, ScanMemory]:
    ours = settings()
    series = collected_series(ours)
    scan(connection, series, at - RECENT, at - GRACE)
    if at.timestamp() - memory.trades >= TRADES_EVERY.total_seconds():
        since, until = at - RECENT_TRADES, at - GRACE
        for exchange, pairs in pairs_of(series).items():
            scan_trades(connection, exchange, pairs, since, until)
            compare(connection, exchange, pairs, since, until)
        memory = replace(memory, trades=at.timestamp())
    state = None
    if at.timestamp() - memory.reported_at >= TOLD_EVERY.total_seconds():
        state = read(connection, at)
        memory = replace(memory, reported_at=at.timestamp())
    # What was found just now is due now.
    return due(connection, ours.exchanges, now()), state, memory


def _request(attempt: int, reason: str, *, whole: bool) -> dg.RunRequest:
    config = LookConfig(whole_history=whole)
    ops = {key.to_python_identifier(): config for key in (TRADE_GAPS, CANDLE_GAPS)}
    return dg.RunRequest(run_key=f"heal:{attempt}", run_config=dg.RunConfig(ops=ops), tags={"reason": reason})


def _failed(instance: dg.DagsterInstance) -> bool:
    last = instance.get_run_records(dg.RunsFilter(job_name=HEAL_HISTORY.name), limit=1)
    return any(record.dagster_run.status is dg.DagsterRunStatus.FAILURE for record in last)


def _remembered(cursor: str | None, at: datetime) -> ScanMemory:
    if cursor:
        # A cursor of an older version has other fields; the attempts are kept, because a run key is never used twice.
        known = {field.name for field in fields(ScanMemory)}
        return ScanMemory(**{name: value for name, value in json.loads(cursor).items() if name in known})
    return ScanMemory(whole=(at - WHOLE_EVERY + FIRST_WHOLE_AFTER).timestamp())
