"""Watch the streams: restart what is stuck or silent, alert once, and show every figure on the stream's asset.

cryptoviz.streams.verdicts.judge -> generation, platform_alerts, stream_verdicts, runless events
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.resources import Database
from assets.streams import INGESTION as INGESTION_KEY
from assets.streams import collector_key
from cryptoviz.logs import error_line
from cryptoviz.settings import Settings
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query
from cryptoviz.streams.facts import COLLECTOR, INGESTION
from cryptoviz.streams.supervision import ALL_CLEAR, WORKING, Decision, StreamMemory
from cryptoviz.streams.verdicts import JudgedStream, judge_streams, remember_verdict

if TYPE_CHECKING:
    from psycopg import Connection

INTERVAL_S: Final = 30
REPORT_S: Final = 60
"""A stream whose verdict stays the same is reported this often: freshness needs it, the event log pays for it."""

ACTOR: Final = "stream_supervisor"
_KINDS: Final = {"critical": "stream_down", "warning": "stream_degraded"}
_PAIRS: Final = "| pair | newest trade, s | newest ticker, s | state | since (UTC) |\n|---|---|---|---|---|"

Event = dg.AssetMaterialization | dg.AssetObservation


def stream_supervisor(settings: Settings) -> dg.SensorDefinition:
    """The sensor for the streams of these settings."""

    @dg.sensor(
        name="stream_supervisor",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Judges every stream (alive, moving, lagging, silent), restarts those that are stuck or silent with a "
            "growing pause, keeps one alert open while something is wrong, and shows the figures on the stream's asset."
        ),
    )
    def stream_supervisor(database: Database) -> dg.SensorResult | dg.SkipReason:
        now = time.time()
        try:
            with database.writer() as connection:
                streams = judge_streams(connection, settings, now)
                for name, stream in streams.items():
                    _act(connection, name, stream.row, stream.decision)
                others = {"kinds": [*_KINDS.values()], "subjects": [*streams]}
                connection.execute(query("platform_alerts_close_others"), others)
                events = [event for name, stream in streams.items() for event in _report(connection, name, stream, now)]
        except driver.Error as error:
            return dg.SkipReason(f"the database does not answer: {error_line(error)}")
        states = "; ".join(f"{name} is {stream.decision.message}" for name, stream in streams.items())
        return dg.SensorResult(asset_events=events, skip_reason=states)

    return stream_supervisor


def _act(connection: Connection[Any], name: str, row: Mapping[str, Any], decision: Decision) -> None:
    if decision.restart:
        _restart(connection, name, row, decision)
    wanted = _KINDS.get(decision.severity or "")
    for severity, kind in _KINDS.items():
        if kind == wanted:
            alert = {"kind": kind, "subject": name, "severity": severity, "message": f"{name} is {decision.message}"}
            _raise(connection, alert, row, decision)
        elif wanted is not None or decision.verdict in ALL_CLEAR:
            connection.execute(query("platform_alert_close"), {"kind": kind, "subject": name})


def _restart(connection: Connection[Any], name: str, row: Mapping[str, Any], decision: Decision) -> None:
    restarted = connection.execute(query("stream_restart"), {"name": name, "generation": row["asked_generation"]})
    if restarted.fetchone() is not None:
        entry = {"actor": ACTOR, "action": "restart_stream", "subject": name}
        detail = {
            "verdict": decision.verdict,
            "reason": decision.reason,
            "within the hour": len(decision.memory.restarts),
        }
        connection.execute(query("action_log_begin"), entry | {"detail": driver.Jsonb(detail)})


def _raise(connection: Connection[Any], alert: Mapping[str, str], row: Mapping[str, Any], decision: Decision) -> None:
    detail = {
        "verdict": decision.verdict,
        "since": _instant(decision.memory.since),
        "lag": row["lag"],
        "restarts within the hour": len(decision.memory.restarts),
        "last error": row["last_error"],
    }
    connection.execute(query("platform_alert_raise"), {**alert, "detail": driver.Jsonb(detail)})


def _report(connection: Connection[Any], name: str, stream: JudgedStream, now: float) -> list[Event]:
    """The stream's figures: as a materialization while it works (freshness looks at these), else as an observation."""
    decision = stream.decision
    changed = decision.memory.since == now
    if not changed and now - decision.memory.reported_at < REPORT_S:
        remember_verdict(connection, name, decision)
        return []
    remember_verdict(connection, name, replace(decision, memory=replace(decision.memory, reported_at=now)))
    event = dg.AssetMaterialization if decision.verdict in WORKING else dg.AssetObservation
    return [event(asset_key=_key(name), description=decision.message, metadata=_metadata(stream.row, decision))]


def _key(name: str) -> dg.AssetKey:
    return INGESTION_KEY if name == INGESTION else collector_key(name.removeprefix(COLLECTOR))


def _metadata(row: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
    figures = {
        "lag": row["lag"],
        "rows": row["rows_total"],
        "batch rows": row["batch_rows"],
        "batch ms": row["batch_ms"],
        "rejected messages": row["detail"].get("refused"),
        "restarts": row["restarts"],
        "seconds since last row": row["rows_age"],
        "heartbeat age": row["heartbeat_age"],
        "seconds running": row["uptime"],
    }
    pairs = _pairs(row.get("stored", ()), decision.memory)
    return {
        "state": str(decision.verdict),
        "since": _instant(decision.memory.since),
        **{name: round(value, 3) for name, value in figures.items() if value is not None},
        **({"why": decision.reason} if decision.reason else {}),
        **({"last error": row["last_error"]} if row["last_error"] else {}),
        **({"last event": _last_event(row)} if row["event"] else {}),
        **({"pairs": pairs} if pairs is not None else {}),
    }


def _last_event(row: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in (row["event_detail"] or {}).items())
    parts = [f"{row['event_at']:%Y-%m-%d %H:%M:%S} UTC {row['event']}", row["event_reason"], figures]
    return ": ".join(part for part in parts if part)


def _pairs(stored: Sequence[Mapping[str, Any]], memory: StreamMemory) -> dg.MarkdownMetadataValue | None:
    """The pairs as Markdown: a table value costs three times as many bytes in each of these events."""
    if not stored:
        return None
    rows = (
        (row["pair"], _age(row["trade_age"]), _age(row["ticker_age"]), known.state, _instant(known.since))
        for row in stored
        for known in [memory.pairs[row["pair"]]]
    )
    return dg.MetadataValue.md("\n".join([_PAIRS, *(f"| {' | '.join(row)} |" for row in rows)]))


def _age(seconds: float | None) -> str:
    return "over a day" if seconds is None else f"{seconds:.1f}"


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
