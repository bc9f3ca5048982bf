"""The sensor `stream_supervisor` on an ephemeral instance and a real database."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg.types.json import Jsonb

from assets.resources import Database
from assets.streams import INGESTION, collector_key
from cryptoviz.settings import Settings
from cryptoviz.stack.health import probe
from cryptoviz.stack.services import services
from cryptoviz.storage.queries import query
from cryptoviz.streams.verdicts import judge_streams
from sensors.streams import stream_supervisor
from tests.conftest import UseSettings
from tests.doubles.resources import DatabaseAway

pytestmark = pytest.mark.services

PAIRS = ["BTC/USD", "DOGE/USD"]
STATUS = """
    INSERT INTO stream_status (name, state, pid, epoch, started_at, heartbeat, runner_heartbeat, progressed_at, rows_at,
                               lag, rows_total, batch_ms, generation, detail)
    VALUES (%(name)s, 'running', 1, 3, now() - interval '1 hour', now(), now(),
            now() - make_interval(secs => %(stuck)s), now(), %(lag)s, 1234, 17.5, 2, %(detail)s)
    ON CONFLICT (name) DO UPDATE
        SET (progressed_at, lag, detail) = (excluded.progressed_at, excluded.lag, excluded.detail)
"""


@pytest.fixture
def settings(database: Settings, use_settings: UseSettings) -> Settings:
    return use_settings(database.model_copy(update={"exchanges": ["kraken"], "kraken_pairs": PAIRS}))


@pytest.fixture
def writer(settings: Settings, writer: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection that stands for the runners: it holds the locks of the streams."""
    for name in ("ingestion", "collector_kraken"):
        writer.execute("SELECT pg_advisory_lock(hashtextextended('cryptoviz.stream.' || %s, 0))", [name])
        writer.execute("INSERT INTO stream_control (name, generation) VALUES (%s, 2)", [name])
    return writer


def report(writer: psycopg.Connection[Any], name: str, *, stuck: float = 0, lag: int = 0, **detail: Any) -> None:
    writer.execute(STATUS, {"name": name, "stuck": stuck, "lag": lag, "detail": Jsonb(detail)})


def well(writer: psycopg.Connection[Any]) -> None:
    report(writer, "ingestion", refused=7)
    report(
        writer, "collector_kraken", connected=True, broker=True, frame_age=0.2, refused=3,
        pairs={"BTC/USD": {"age": 1}, "DOGE/USD": {"age": 400, "quote_age": 400, "asked_age": 90}},
    )  # fmt: skip
    writer.execute(
        "INSERT INTO trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
        " VALUES (now(), 'kraken', 'BTC/USD', 1, 1, 1, 'buy') ON CONFLICT DO NOTHING"
    )


def tick(settings: Settings, database: Database | None = None) -> Any:
    sensor = stream_supervisor(settings)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance, resources={"database": database or Database()}) as context,
    ):
        return sensor.evaluate_tick(context)


def earlier(writer: psycopg.Connection[Any], seconds: float) -> None:
    """What is remembered becomes older."""
    writer.execute(
        "UPDATE stream_verdicts SET memory = memory || jsonb_build_object("
        " 'looked_at', (memory ->> 'looked_at')::float8 - %(seconds)s,"
        " 'reported_at', (memory ->> 'reported_at')::float8 - %(seconds)s)",
        {"seconds": seconds},
    )


def shown(settings: Settings) -> dict[str, Any]:
    """What `cryptoviz status` and the health checks of containers say."""
    return {service.stream: probe(service, settings) for service in services(settings) if service.stream is not None}


def rows(writer: psycopg.Connection[Any], statement: str) -> list[tuple[Any, ...]]:
    return writer.execute(statement).fetchall()  # type: ignore[arg-type]


ALERTS = "SELECT kind, subject, severity, closed_at IS NULL, occurrences FROM platform_alerts ORDER BY opened_at"
GENERATIONS = "SELECT name, generation FROM stream_control ORDER BY name"


def figures(event: Any) -> dict[str, Any]:
    return {name: value.value for name, value in event.metadata.items() if name != "pairs"}


def test_healthy_streams_materialize_with_figures_and_pairs(
    settings: Settings, writer: psycopg.Connection[Any]
) -> None:
    well(writer)
    events = {event.asset_key: event for event in tick(settings).asset_events}
    assert set(events) == {INGESTION, collector_key("kraken")}
    assert all(isinstance(event, dg.AssetMaterialization) for event in events.values())
    shown = figures(events[INGESTION])
    assert {name: shown[name] for name in ("state", "lag", "rows", "batch ms", "rejected messages", "restarts")} == {
        "state": "healthy", "lag": 0, "rows": 1234, "batch ms": 17.5, "rejected messages": 7, "restarts": 0,
    }  # fmt: skip
    assert {"seconds since last row", "heartbeat age"} <= shown.keys()
    lines = events[collector_key("kraken")].metadata["pairs"].value.splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(pair, state) for pair, _, _, state, _ in cells] == [("BTC/USD", "live"), ("DOGE/USD", "quiet")]
    assert float(cells[0][1]) < 60
    assert cells[1][1] == "over a day"
    assert rows(writer, ALERTS) == []
    assert rows(writer, GENERATIONS) == [("collector_kraken", 2), ("ingestion", 2)]


def test_a_steady_stream_is_not_reported_at_every_look(settings: Settings, writer: psycopg.Connection[Any]) -> None:
    well(writer)
    assert len(tick(settings).asset_events) == 2
    assert not tick(settings).asset_events
    earlier(writer, 61)
    assert len(tick(settings).asset_events) == 2


def test_status_and_supervisor_say_the_same(settings: Settings, writer: psycopg.Connection[Any]) -> None:
    well(writer)
    tick(settings)
    assert {name: (found.healthy, found.detail) for name, found in shown(settings).items()} == {
        "ingestion": (True, ""), "collector_kraken": (True, ""),
    }  # fmt: skip
    late = {"BTC/USD": {"age": 1}, "DOGE/USD": {"age": 1}}
    report(writer, "collector_kraken", connected=False, broker=True, frame_age=0.2, pairs=late)
    for _ in range(3):
        assert all(found.healthy for found in shown(settings).values()), "seen once, however often somebody asks"
    tick(settings)
    earlier(writer, 30)
    said = tick(settings).skip_message
    for name, found in shown(settings).items():
        assert not found.healthy
        assert f"{name} is {found.detail}" in said
    assert "trades that were sent are not stored: kraken:DOGE/USD" in shown(settings)["ingestion"].detail
    assert {row[:4] for row in rows(writer, ALERTS)} == {
        ("stream_degraded", "collector_kraken", "warning", True), ("stream_degraded", "ingestion", "warning", True),
    }  # fmt: skip


def test_who_only_asks_leaves_no_trace(settings: Settings, writer: psycopg.Connection[Any]) -> None:
    well(writer)
    report(writer, "ingestion", stuck=400, lag=500)
    assert shown(settings)["ingestion"].detail.startswith("stuck: no progress for 400 s")
    assert rows(writer, ALERTS) == []
    assert rows(writer, GENERATIONS) == [("collector_kraken", 2), ("ingestion", 2)]
    assert rows(writer, "SELECT name FROM stream_verdicts") == []


def test_a_stuck_stream_is_restarted_once_with_one_alert_and_an_audit_row(
    settings: Settings, writer: psycopg.Connection[Any]
) -> None:
    well(writer)
    report(writer, "ingestion", stuck=200, lag=500)
    for _ in range(4):
        tick(settings)
    assert rows(writer, GENERATIONS) == [("collector_kraken", 2), ("ingestion", 3)]
    assert rows(writer, "SELECT actor, action, subject, detail ->> 'verdict' FROM action_log") == [
        ("stream_supervisor", "restart_stream", "ingestion", "stuck")
    ]
    assert [row[:4] for row in rows(writer, ALERTS)] == [("stream_down", "ingestion", "critical", True)]
    well(writer)
    began = "UPDATE stream_status SET (generation, started_at) = (3, now() - %s) WHERE name = 'ingestion'"
    writer.execute(began, [timedelta(seconds=5)])
    starting = tick(settings)
    assert "ingestion is starting: started " in starting.skip_message
    assert [row[3] for row in rows(writer, ALERTS)] == [True], "a worker that starts has not shown anything"
    writer.execute(began, [timedelta(minutes=2)])
    after = tick(settings)
    assert [row[3] for row in rows(writer, ALERTS)] == [False]
    [event] = [event for event in after.asset_events if event.asset_key == INGESTION]
    assert isinstance(event, dg.AssetMaterialization)


def test_what_is_wrong_is_observed_and_never_counts_as_fresh(
    settings: Settings, writer: psycopg.Connection[Any]
) -> None:
    well(writer)
    writer.execute("UPDATE stream_status SET runner_heartbeat = NULL WHERE name = 'ingestion'")
    [event] = [event for event in tick(settings).asset_events if event.asset_key == INGESTION]
    assert isinstance(event, dg.AssetObservation)
    assert figures(event)["state"] == "dead"
    assert [row[:3] for row in rows(writer, ALERTS)] == [("stream_down", "ingestion", "critical")]
    assert rows(writer, GENERATIONS) == [("collector_kraken", 2), ("ingestion", 2)], "there is nobody to restart it"


def test_a_database_that_has_just_come_back_was_not_written_to(
    settings: Settings, writer: psycopg.Connection[Any]
) -> None:
    well(writer)
    writer.execute("UPDATE stream_status SET (runner_heartbeat, heartbeat) = (now() - interval '1 day', now())")
    [(age, since)] = rows(
        writer,
        "SELECT extract(epoch FROM now() - runner_heartbeat)::float8,"
        " extract(epoch FROM now() - pg_postmaster_start_time())::float8 FROM stream_status WHERE name = 'ingestion'",
    )
    assert since < age
    judged = judge_streams(writer, settings, time.time())["ingestion"]
    assert since <= judged.row["runner_age"] < since + 60


def test_a_stream_asked_to_stop_is_left_alone(settings: Settings, writer: psycopg.Connection[Any]) -> None:
    well(writer)
    report(writer, "ingestion", stuck=200, lag=500)
    writer.execute("UPDATE stream_control SET desired = 'stopped' WHERE name = 'ingestion'")
    tick(settings)
    assert rows(writer, ALERTS) == []
    assert rows(writer, GENERATIONS) == [("collector_kraken", 2), ("ingestion", 2)]


def test_alerts_of_an_exchange_that_is_not_configured_any_more_are_closed(
    settings: Settings, writer: psycopg.Connection[Any]
) -> None:
    for kind, subject in (
        ("stream_down", "collector_binance"),
        ("stream_degraded", "collector_binance"),
        ("run_failed", "collector_binance"),
        ("stream_down", "collector_kraken"),
    ):
        alert = {"kind": kind, "subject": subject, "severity": "warning", "message": "away", "detail": Jsonb({})}
        writer.execute(query("platform_alert_raise"), alert)
    well(writer)
    writer.execute("UPDATE stream_status SET runner_heartbeat = NULL WHERE name = 'collector_kraken'")
    tick(settings)
    assert {(row[0], row[1]): row[3] for row in rows(writer, ALERTS)} == {
        ("stream_down", "collector_binance"): False,
        ("stream_degraded", "collector_binance"): False,
        ("run_failed", "collector_binance"): True,
        ("stream_down", "collector_kraken"): True,
    }


@pytest.mark.parametrize(
    ("text", "reason"), [("connection refused\nby nobody", "connection refused"), ("", "OperationalError")]
)
def test_a_database_that_is_away_is_a_reason_and_no_stack_trace(settings: Settings, text: str, reason: str) -> None:
    result = tick(settings, DatabaseAway(reason=text))
    assert result.skip_message == f"the database does not answer: {reason}"
    assert not result.asset_events


def test_a_look_at_sixteen_pairs_costs_little(database: Settings, use_settings: UseSettings) -> None:
    use_settings(database)
    sensor = stream_supervisor(database)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance, resources={"database": Database()}) as context,
    ):
        sensor.evaluate_tick(context)
        used = []
        for _ in range(5):
            began = time.process_time()
            sensor.evaluate_tick(context)
            used.append(time.process_time() - began)
    assert min(used) < 0.1
