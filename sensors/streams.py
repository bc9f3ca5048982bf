"""Watch the streams: restart what is stuck or silent, alert once, and show every figure on the stream's asset.

stream_status, lock, newest rows -> cryptoviz.supervision.decide -> generation, platform_alerts, runless events
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.streams import INGESTION as INGESTION_KEY
from assets.streams import collector_key
from cryptoviz.settings import Settings
from cryptoviz.storage.queries import query
from cryptoviz.supervision import (
    ALL_CLEAR,
    COLLECTOR,
    INGESTION,
    WORKING,
    Bounds,
    Decision,
    Memory,
    PairFacts,
    StreamFacts,
    behind,
    decide,
    dumped,
    loaded,
)
from dagster_project.resources import Database

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
    bounds = Bounds.of(settings)
    pairs = {name: settings.pairs(name) for name in settings.exchanges}

    @dg.sensor(
        name="stream_supervisor",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Judges every stream (alive, moving, lagging, silent), restarts those that are stuck or silent with a "
            "growing pause, keeps one alert open while something is wrong, and shows the figures on the stream's asset."
        ),
    )
    def stream_supervisor(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        from psycopg import Error  # noqa: PLC0415 - only who connects loads the driver

        now = time.time()
        try:
            with database.writer() as connection:
                rows = _rows(connection, pairs)
                decisions = _decide(rows, _remembered(context.cursor), bounds, now)
                for name, decision in decisions.items():
                    _act(connection, name, rows[name], decision)
                others = {"kinds": [*_KINDS.values()], "subjects": [*decisions]}
                connection.execute(query("platform_alerts_close_others"), others)
        except Error as error:
            return dg.SkipReason(f"the database does not answer: {_reason(error)}")
        events = [event for name, found in decisions.items() for event in _events(name, rows[name], found, now)]
        reported = {_name(event) for event in events}
        memories = {
            name: replace(found.memory, reported_at=now) if name in reported else found.memory
            for name, found in decisions.items()
        }
        return dg.SensorResult(
            asset_events=events,
            cursor=json.dumps(dumped(memories), separators=(",", ":")),
            skip_reason="; ".join(f"{name} is {found.message}" for name, found in decisions.items()),
        )

    return stream_supervisor


def _reason(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _rows(connection: Connection[Any], pairs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The row of each stream; that of a collector with what is stored of each pair."""
    from psycopg.rows import dict_row  # noqa: PLC0415 - only who connects loads the driver

    cursor = connection.cursor(row_factory=dict_row)
    names = [*(f"{COLLECTOR}{exchange}" for exchange in pairs), INGESTION]
    rows = {row["name"]: row for row in cursor.execute(query("stream_facts"), {"names": names})}
    series = [(exchange, pair) for exchange, names in pairs.items() for pair in names]
    asked = {"exchanges": [exchange for exchange, _ in series], "pairs": [pair for _, pair in series]}
    for stored in cursor.execute(query("pair_freshness"), asked):
        rows[f"{COLLECTOR}{stored['exchange']}"].setdefault("stored", []).append(stored)
    return rows


def _decide(
    rows: Mapping[str, Mapping[str, Any]], before: Mapping[str, Memory], bounds: Bounds, now: float
) -> dict[str, Decision]:
    collectors = {
        name: decide(_facts(row), before.get(name, Memory()), bounds, now)
        for name, row in rows.items()
        if name != INGESTION
    }
    late = behind({name.removeprefix(COLLECTOR): found.memory for name, found in collectors.items()})
    ingestion = decide(_facts(rows[INGESTION]), before.get(INGESTION, Memory()), bounds, now, behind=late)
    return collectors | {INGESTION: ingestion}


def _facts(row: Mapping[str, Any]) -> StreamFacts:
    return StreamFacts.of(row, [_pair(stored, row["detail"]) for stored in row.get("stored", ())])


def _pair(stored: Mapping[str, Any], detail: Mapping[str, Any]) -> PairFacts:
    pair = stored["pair"]
    said = detail.get("pairs", {}).get(pair, {})
    refusals = detail.get("refused_subscriptions", {})
    return PairFacts(
        pair,
        trade_age=stored["trade_age"],
        ticker_age=stored["ticker_age"],
        heard_age=said.get("age"),
        quote_age=said.get("quote_age"),
        asked_age=said.get("asked_age"),
        deaf_for=said.get("deaf_for"),
        refused=next((why for what, why in refusals.items() if what.endswith(f" {pair}")), ""),
    )


def _remembered(cursor: str | None) -> dict[str, Memory]:
    return loaded(json.loads(cursor or "{}"))


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
    from psycopg.types.json import Jsonb  # noqa: PLC0415 - only who connects loads the driver

    asked = connection.execute(query("stream_restart"), {"name": name, "generation": row["asked_generation"]})
    if asked.fetchone() is not None:
        entry = {"actor": ACTOR, "action": "restart_stream", "subject": name}
        detail = {
            "verdict": decision.verdict,
            "reason": decision.reason,
            "within the hour": len(decision.memory.restarts),
        }
        connection.execute(query("action_log_begin"), entry | {"detail": Jsonb(detail)})


def _raise(connection: Connection[Any], alert: Mapping[str, str], row: Mapping[str, Any], decision: Decision) -> None:
    from psycopg.types.json import Jsonb  # noqa: PLC0415 - only who connects loads the driver

    detail = {
        "verdict": decision.verdict,
        "since": _instant(decision.memory.since),
        "lag": row["lag"],
        "restarts within the hour": len(decision.memory.restarts),
        "last error": row["last_error"],
    }
    connection.execute(query("platform_alert_raise"), {**alert, "detail": Jsonb(detail)})


def _events(name: str, row: Mapping[str, Any], decision: Decision, now: float) -> Iterator[Event]:
    """The stream's figures: as a materialization while it works (freshness looks at these), else as an observation."""
    changed = decision.memory.since == now
    if not changed and now - decision.memory.reported_at < REPORT_S:
        return
    event = dg.AssetMaterialization if decision.verdict in WORKING else dg.AssetObservation
    yield event(asset_key=_key(name), description=decision.message, metadata=_metadata(row, decision))


def _key(name: str) -> dg.AssetKey:
    return INGESTION_KEY if name == INGESTION else collector_key(name.removeprefix(COLLECTOR))


def _name(event: Event) -> str:
    return event.asset_key.path[-1]


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
    said = [f"{row['event_at']:%Y-%m-%d %H:%M:%S} UTC {row['event']}", row["event_reason"], figures]
    return ": ".join(part for part in said if part)


def _pairs(stored: Sequence[Mapping[str, Any]], memory: Memory) -> dg.MarkdownMetadataValue | None:
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
