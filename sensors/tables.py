"""Say in the graph what every exchange sends and every topic and table holds, as numbers over time.

    database, broker -> figures -> reports (advanced: a materialization; else: an observation) -> event log

A freshness policy looks at materializations only: a table counts as fresh while its newest row advances, a topic while
it grows. What stands still is observed too, but seldom: the same numbers every minute would only fill the event log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.resources import Broker, Database
from assets.streams import topic_key
from cryptoviz.bus import BusError
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query
from cryptoviz.topics import TOPICS

if TYPE_CHECKING:
    from psycopg import Connection

INTERVAL_S: Final = 60
QUIET_S: Final = 600
_DEADLETTER: Final = "deadletter"
_QUARANTINE: Final = "quarantine"
_STATE_TABLES: Final = frozenset({"collector_position", "sink_fence", "staging", "stream_control", "stream_status"})


@dataclass(frozen=True)
class AssetFigures:
    """What one asset holds now. `mark` grows when something new is in it: an instant in microseconds, or an offset.

    `counted` is the word for what the mark counts, if it counts. `seldom`: its changes are not worth a report each.
    """

    asset: dg.AssetKey
    mark: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    newest: datetime | None = None
    counted: str = ""
    seldom: bool = False


@dataclass(frozen=True)
class SeenMark:
    """The mark when an asset was last looked at, when that was, and when it was last reported (Unix seconds)."""

    mark: int
    at: float
    reported: float


@dataclass(frozen=True)
class AssetReport:
    """One event for the graph: whether something new is in the asset, and its numbers."""

    asset: dg.AssetKey
    advanced: bool
    numbers: Mapping[str, float]
    newest: datetime | None = None


def reports(
    previous: Mapping[str, SeenMark], figures: Iterable[AssetFigures], now: float
) -> tuple[list[AssetReport], dict[str, SeenMark]]:
    """What to report now, and what to remember.

    What is seen for the first time is only observed: whether it advances is known the next time. What stood still is
    reported once in `QUIET_S`. A mark that fell (a topic made anew, rows deleted) is no advance.
    """
    due, remembered = [], dict(previous)
    for found in figures:
        name = found.asset.to_user_string()
        seen = previous.get(name)
        advanced = seen is not None and found.mark > seen.mark
        if seen is None or (found.mark != seen.mark and not found.seldom) or now - seen.reported >= QUIET_S:
            age = {"age s": round(max(0.0, now - found.newest.timestamp()), 1)} if found.newest else {}
            due.append(
                AssetReport(found.asset, advanced, {**age, **_flow(found, seen, now), **found.numbers}, found.newest)
            )
            remembered[name] = SeenMark(found.mark, now, now)
        else:
            remembered[name] = SeenMark(seen.mark, now, seen.reported)
    return due, remembered


def _flow(found: AssetFigures, seen: SeenMark | None, now: float) -> dict[str, float]:
    if not found.counted or seen is None or found.mark < seen.mark or now <= seen.at:
        return {}
    grown = found.mark - seen.mark
    return {
        f"{found.counted} since the last look": grown,
        f"{found.counted} a minute": round(grown * 60 / (now - seen.at), 1),
    }


def table_figures(connection: Connection[Any]) -> list[AssetFigures]:
    """What the tables hold now."""
    more = {_QUARANTINE: _open_rows(connection)}
    return [
        AssetFigures(
            dg.AssetKey(name),
            int(newest.timestamp() * 1_000_000) if newest else 0,
            {
                **more.get(name, {}),
                "rows in the last minute": last_minute,
                "dagster/row_count": rows,
                "size on disk MB": round(size / 1_000_000, 2),
                **({"batch ms": round(batch_ms, 1)} if batch_ms is not None else {}),
            },
            newest,
            seldom=name in _STATE_TABLES,
        )
        for name, newest, last_minute, rows, size, batch_ms in connection.execute(query("table_figures"))
    ]


def _open_rows(connection: Connection[Any]) -> dict[str, float]:
    counts: dict[str, float] = {
        f"open {subject}": count for subject, count in connection.execute(query("quarantine_counts"))
    }
    return {"open": sum(counts.values()), **counts}


def exchange_figures(connection: Connection[Any]) -> list[AssetFigures]:
    """What each exchange sent within the last minute; silent exchanges are left out."""
    now = datetime.now(UTC)
    return [
        AssetFigures(dg.AssetKey(exchange), int(heard.timestamp() * 1_000_000), numbers, heard)
        for exchange, trades, tickers, *ages in connection.execute(query("live_figures"))
        for heard in (now - timedelta(seconds=min(age for age in ages if age is not None)),)
        for numbers in ({"trades in the last minute": trades, "tickers in the last minute": tickers},)
    ]


def topic_figures(offsets: Mapping[str, Mapping[int, range]]) -> list[AssetFigures]:
    """What the topics hold now, from the offsets held of each partition."""
    return [
        AssetFigures(
            topic_key(name),
            sum(held.stop for held in partitions.values()),
            {"messages held": sum(map(len, partitions.values())), "partitions": len(partitions)},
            counted="rejected" if name == _DEADLETTER else "messages",
        )
        for name, partitions in offsets.items()
    ]


@dg.sensor(
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Reports what exchanges sent, the messages of the topics, and rows, newest time, age and size of the tables."
    ),
)
def observe_tables(
    context: dg.SensorEvaluationContext, database: Database, broker: Broker
) -> dg.SensorResult | dg.SkipReason:
    """Whatever can be reached is reported; the tick says what is away."""
    figures, away = _reachable(database, broker)
    if not figures:
        return dg.SkipReason(f"nothing to report: {'; '.join(away)}")
    due, remembered = reports(_remembered(context.cursor), figures, time.time())
    return dg.SensorResult(
        asset_events=[_event(report) for report in due],
        cursor=json.dumps({name: asdict(seen) for name, seen in remembered.items()}),
        skip_reason=dg.SkipReason(
            "; ".join([f"reported {len(due)} of {len(figures)} exchanges, topics and tables", *away])
        ),
    )


def _reachable(database: Database, broker: Broker) -> tuple[list[AssetFigures], list[str]]:
    figures: list[AssetFigures] = []
    away: list[str] = []
    try:
        with database.reader() as connection:
            figures += exchange_figures(connection)
            figures += table_figures(connection)
    except driver.OperationalError as error:
        away.append(f"the database is away: {str(error).strip()}")
    try:
        figures += topic_figures(broker.offsets(TOPICS))
    except BusError as error:
        away.append(f"the broker is away: {error}")
    return figures, away


def _event(report: AssetReport) -> dg.AssetMaterialization | dg.AssetObservation:
    metadata: dict[str, Any] = dict(report.numbers)
    if report.newest is not None:
        metadata["newest"] = dg.MetadataValue.timestamp(report.newest)
    if report.advanced:
        return dg.AssetMaterialization(report.asset, metadata=metadata)
    return dg.AssetObservation(report.asset, metadata=metadata)


def _remembered(cursor: str | None) -> dict[str, SeenMark]:
    return {name: SeenMark(**seen) for name, seen in json.loads(cursor or "{}").items()}
