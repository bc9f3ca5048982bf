"""The jobs that are launched from the pages, executed in process on a real database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.resources import Database
from cryptoviz.settings import Role, Settings, settings
from cryptoviz.storage.database import connect
from dagster_project.jobs import JOBS
from jobs.repair import REBUILD_CANDLES
from jobs.streams import STREAM_JOBS
from tests.conftest import UseSettings

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MINUTE = NOW - timedelta(minutes=30)


@pytest.fixture(autouse=True)
def in_use(database: Settings, use_settings: UseSettings) -> None:
    """The jobs work on the test's database."""
    use_settings(database)


def execute(job: dg.JobDefinition, **config: Any) -> dg.ExecuteInProcessResult:
    (op,) = (node.name for node in job.nodes)
    return job.execute_in_process(
        run_config={"ops": {op: {"config": config}}} if config else {},
        resources={"database": Database()},
        tags={"user": "ada"},
        raise_on_error=False,
    )


def why(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert event.step_failure_data.user_failure_data is not None
    return event.step_failure_data.user_failure_data.description or ""


def audit(writer: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    statement = "SELECT actor, action, subject, detail ->> 'result' FROM action_log ORDER BY id"
    return writer.execute(statement).fetchall()


@contextmanager
def runner(settings: Settings, name: str) -> Iterator[None]:
    """What a runner does: holds the lock, beats, and does what stream_control says."""
    over, begun = threading.Event(), threading.Event()

    def live() -> None:
        with connect(Role.WRITER, settings, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(hashtextextended('cryptoviz.stream.' || %s, 0))", [name])
            while not over.is_set():
                connection.execute(
                    "INSERT INTO stream_status (name, state, generation, runner_heartbeat)"
                    " SELECT name, CASE desired WHEN 'running' THEN 'running' ELSE 'stopped' END, generation, now()"
                    " FROM stream_control WHERE name = %s"
                    " ON CONFLICT (name) DO UPDATE SET (state, generation, runner_heartbeat)"
                    " = (excluded.state, excluded.generation, excluded.runner_heartbeat)",
                    [name],
                )
                begun.set()
                over.wait(0.05)

    thread = threading.Thread(target=live)
    thread.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_streams_are_stopped_started_and_restarted_with_an_audit_row_each(writer: psycopg.Connection[Any]) -> None:
    start, stop, restart = STREAM_JOBS
    statement = "SELECT desired, generation FROM stream_control WHERE name = 'ingestion'"
    with runner(settings(), "ingestion"):
        results = []
        for job, expected in ((stop, ("stopped", 0)), (start, ("running", 0)), (restart, ("running", 1))):
            results.append(execute(job, stream="ingestion", wait_s=20, reason="a test"))
            assert results[-1].success
            assert writer.execute(statement).fetchone() == expected
    assert audit(writer) == [("ada", f"{name}_stream", "ingestion", "done") for name in ("stop", "start", "restart")]
    assert all(0 <= result.output_for_node(name) < 20 for result, name in zip(
        results, ("stop", "start", "restart"), strict=True
    ))  # fmt: skip


def test_a_stream_without_a_runner_is_a_clear_failure_and_stays_asked_for(writer: psycopg.Connection[Any]) -> None:
    result = execute(STREAM_JOBS[2], stream="collector_kraken", wait_s=1)
    assert not result.success
    assert "no runner looks after it" in why(result)
    assert audit(writer) == [("ada", "restart_stream", "collector_kraken", "failed")]
    assert writer.execute("SELECT desired, generation FROM stream_control").fetchall() == [("running", 1)]


def test_a_stream_that_is_not_configured_is_refused_by_name(
    writer: psycopg.Connection[Any], use_settings: UseSettings
) -> None:
    use_settings(settings().model_copy(update={"exchanges": ["kraken"]}))
    result = execute(STREAM_JOBS[1], stream="collector_binance")
    assert why(result).startswith("stream: binance is not collected here")
    assert audit(writer) == []


@pytest.mark.parametrize("job", [*STREAM_JOBS, REBUILD_CANDLES], ids=lambda job: job.name)
def test_nothing_happens_without_a_choice(job: dg.JobDefinition) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        job.execute_in_process(resources={"database": Database()})


def test_every_job_says_what_it_does_and_has_an_end() -> None:
    for job in JOBS:
        assert job.description
        longest = 86_400 if "cryptoviz/long" in job.tags else 7200
        assert int(job.tags["dagster/max_runtime"]) <= longest


def trades(writer: psycopg.Connection[Any], first: datetime, minutes: int) -> None:
    writer.execute(
        "INSERT INTO trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
        " SELECT %(first)s + n * interval '10 seconds', 'kraken', 'BTC/USD', n, 100 + n %% 5, 1, 'buy'"
        " FROM generate_series(0, %(count)s - 1) n",
        {"first": first, "count": minutes * 6},
    )


CANDLES = """
    SELECT window_start, timeframe, open, high, low, close, volume, trade_count, source FROM candles
    ORDER BY timeframe, window_start"""


def rebuild(**config: Any) -> dg.ExecuteInProcessResult:
    return execute(REBUILD_CANDLES, exchange="kraken", **config)


def test_candles_come_back_from_the_trades_and_those_of_rest_stay(writer: psycopg.Connection[Any]) -> None:
    trades(writer, MINUTE, 20)
    assert rebuild().success
    whole = writer.execute(CANDLES).fetchall()
    assert sum(row[7] for row in whole if row[1] == "1m") == 120
    writer.execute("DELETE FROM candles WHERE window_start = %s AND timeframe = '1m'", [MINUTE + timedelta(minutes=3)])
    writer.execute("UPDATE candles SET close = low WHERE timeframe = '5m'")
    again = rebuild(pairs=["BTC/USD"], since=MINUTE.isoformat())
    assert again.success
    assert writer.execute(CANDLES).fetchall() == whole
    assert again.output_for_node("rebuild") >= 1

    fetched = MINUTE + timedelta(minutes=5)
    writer.execute(
        "UPDATE candles SET source = 'rest', close = high WHERE window_start = %s AND timeframe = '1m'", [fetched]
    )
    said = writer.execute("SELECT * FROM candles WHERE source = 'rest'").fetchall()
    assert rebuild().success
    assert writer.execute("SELECT * FROM candles WHERE source = 'rest'").fetchall() == said
    assert audit(writer) == [("ada", "rebuild_candles", "kraken", "done")] * 3


def test_a_range_whose_trades_are_gone_is_refused_before_anything_changes(writer: psycopg.Connection[Any]) -> None:
    trades(writer, MINUTE, 20)
    assert rebuild().success
    writer.execute("DELETE FROM trade_data WHERE timestamp < %s", [MINUTE + timedelta(minutes=10)])
    writer.execute("UPDATE candles SET close = low WHERE timeframe = '1m'")
    before = writer.execute(CANDLES).fetchall()
    refused = rebuild()
    assert why(refused).startswith("since: the trades of these candles are no longer stored: BTC/USD: 10 minutes")
    assert writer.execute(CANDLES).fetchall() == before
    assert rebuild(since=(MINUTE + timedelta(minutes=10)).isoformat()).success
    assert writer.execute(CANDLES).fetchall() != before


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"since": "yesterday"}, "since: 'yesterday' is no instant. Write an instant with its time zone"),
        ({"since": "2026-11-21T10:00"}, "since: '2026-11-21T10:00' has no time zone"),
        ({"until": "2999-01-01T00:00Z"}, "until: 2999-01-01 00:00:00 UTC lies in the future"),
        ({"since": "2026-11-02T00:00Z", "until": "2026-11-01T00:00Z"}, "since: 2026-11-02 00:00:00 UTC is not before"),
        ({"pairs": ["XBT/EUR"]}, "pairs: XBT/EUR of kraken is not collected here. Choose from BTC/USD"),
    ],
)
def test_config_that_makes_no_sense_names_the_field_and_the_fix(
    writer: psycopg.Connection[Any], config: dict[str, Any], words: str
) -> None:
    assert why(rebuild(**config)).startswith(words)
    assert audit(writer) == []
