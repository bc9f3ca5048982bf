"""The jobs that release and discard what the gate holds back, executed in process on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.resources import Broker, Database
from cryptoviz.gate import engine
from cryptoviz.gate.outbox import judge_staged
from cryptoviz.gate.report import GateError
from cryptoviz.gate.staging import StagedRow, stage
from cryptoviz.quarantine import open_ids
from cryptoviz.settings import Settings
from dagster_project.jobs import JOBS
from jobs.quarantine import DISCARD_QUARANTINED, RELEASE_QUARANTINED
from tests.conftest import UseSettings
from tests.doubles.bus import MemoryProducer

pytestmark = pytest.mark.services

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
SENT: list[Any] = []


class OneBroker(Broker):
    """Keeps what is sent."""

    @contextmanager
    def producer(self) -> Iterator[Any]:
        producer = MemoryProducer()
        yield producer
        SENT.extend(producer.of("rawmood"))


@pytest.fixture(autouse=True)
def in_use(database: Settings, use_settings: UseSettings) -> None:
    """The jobs work on the test's database, and nothing is sent yet."""
    use_settings(database)
    SENT.clear()


@pytest.fixture
def held(writer: psycopg.Connection[Any]) -> int:
    payload = {
        "received_at": datetime.now(UTC).isoformat(),
        "timestamp": TODAY,
        "source": "alternative.me",
        "value": 60,
        "classification": "Fear",
    }
    stage(writer, "mood", [StagedRow(TODAY, payload)], "run-1")
    judge_staged(writer, "mood", "run-1", "poll/mood")
    (number,) = open_ids(writer, "mood")
    return number


def execute(job: dg.JobDefinition, **config: Any) -> dg.ExecuteInProcessResult:
    (op,) = (node.name for node in job.nodes)
    return job.execute_in_process(
        run_config={"ops": {op: {"config": config}}} if config else {},
        resources={"database": Database(), "broker": OneBroker()},
        tags={"user": "ada"},
        raise_on_error=False,
    )


def why(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert event.step_failure_data.user_failure_data is not None
    return event.step_failure_data.user_failure_data.description or ""


def audit(writer: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    statement = "SELECT actor, action, subject, detail ->> 'result', detail -> 'done' FROM action_log ORDER BY id"
    return writer.execute(statement).fetchall()


def test_nothing_happens_unless_rows_are_named(writer: psycopg.Connection[Any], held: int) -> None:
    for job in (RELEASE_QUARANTINED, DISCARD_QUARANTINED):
        assert "no row is named" in why(execute(job))
    assert open_ids(writer, "mood") == [held]
    assert audit(writer) == []


def test_a_row_that_still_fails_stays_and_the_run_says_why(writer: psycopg.Connection[Any], held: int) -> None:
    assert "classification: Fear, fitting: Greed" in why(execute(RELEASE_QUARANTINED, ids=[held]))
    assert open_ids(writer, "mood") == [held]
    assert not SENT
    assert audit(writer) == [("ada", "release_quarantined", "", "done", [])]


def test_a_row_that_meets_its_suite_now_is_sent(writer: psycopg.Connection[Any], held: int) -> None:
    writer.execute("update quarantine set payload = jsonb_set(payload, '{classification}', '\"Greed\"')")
    result = execute(RELEASE_QUARANTINED, subject="mood", reason="the suite was wrong")
    assert result.success
    assert result.output_for_node("release") == 1
    assert [record.value for record in SENT] == [60]
    assert open_ids(writer, "mood") == []
    assert audit(writer) == [("ada", "release_quarantined", "mood", "done", [held])]


def test_a_row_is_discarded(writer: psycopg.Connection[Any], held: int) -> None:
    assert execute(DISCARD_QUARANTINED, ids=[held]).output_for_node("discard") == 1
    assert open_ids(writer, "mood") == []
    assert not SENT
    assert audit(writer) == [("ada", "discard_quarantined", "", "done", [held])]


def test_when_the_gate_fails_nothing_is_released(
    writer: psycopg.Connection[Any], held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> Any:
        raise GateError("no room for a metric")

    monkeypatch.setattr(engine, "evaluate", broken)
    said = why(execute(RELEASE_QUARANTINED, ids=[held]))
    assert said == "The gate itself failed, nothing was changed: no room for a metric"
    assert open_ids(writer, "mood") == [held]
    assert audit(writer)[0][3] == "failed"


def test_the_jobs_are_among_those_of_the_pages() -> None:
    assert {"release_quarantined", "discard_quarantined"} <= {job.name for job in JOBS}
