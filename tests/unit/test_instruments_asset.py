"""The asset `instruments` and its sensor on an ephemeral instance, with an exchange and a database of our own."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

import assets.audits
import assets.instruments
import sensors.instruments
from assets.instruments import REFRESH_INSTRUMENTS, instruments_asset
from assets.resources import ExchangeRest
from cryptoviz.gate.report import ExpectationResult, GateError, GateReport, RowCounts, Scope, Severity, SuiteError
from cryptoviz.instruments import Changes, Instrument, Listing, StatusChange
from cryptoviz.remote.errors import PermanentError, TransientError
from dagster_project.schedules import refresh_instruments_daily
from sensors.instruments import Attempt, due, instruments_missing
from tests.doubles.resources import NoDatabase

EXCHANGES = ["kraken", "binance"]
DAY = datetime(2026, 11, 21, 3, 17, tzinfo=UTC)
LISTING = Listing((Instrument("kraken", "BTC/USD", "online", Decimal("1E-8"), None),), skipped=("AAPLx/USD",))
WHOLE = ExpectationResult(
    "listing_whole", Severity.CRITICAL, Scope.BATCH, True, "A listing with less than half of the pairs is broken."
)
STEP = ExpectationResult(
    "price_step_above_zero", Severity.CRITICAL, Scope.ROW, False, "A step is above zero.", [0.0], 1,
    [{"key": "kraken|ETH/USD", "price_step": 0.0}],
)  # fmt: skip
SOUND = GateReport("instruments", "run", "instruments", "instruments", True, False, RowCounts(9, 9, 0), [WHOLE])
HELD = replace(SOUND, passed=False, counts=RowCounts(9, 8, 1), results=[WHOLE, STEP])
BLOCKED = replace(SOUND, passed=False, blocked=True, counts=RowCounts(9, 0, 9), results=[replace(WHOLE, success=False)])
CHANGES = Changes(("BTC/USD",), (StatusChange("ETH/USD", "online", "cancel_only"),), ("OLD/USD",))


class FakeRest(ExchangeRest):
    """Answers from a list; an exception in it is raised."""

    first_delay_s: float = 0.001

    def instruments(self, exchange: str) -> Listing:
        answer = ANSWERS.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


ANSWERS: list[Listing | Exception] = []
REPORTS: list[GateReport | Exception] = []


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Listing]]:
    calls: list[tuple[str, Listing]] = []

    def publish(
        _connection: object, exchange: str, listing: Listing, _seen_at: object, **told: str
    ) -> tuple[GateReport, Changes]:
        if isinstance(REPORTS[-1], Exception):
            raise REPORTS[-1]
        calls.append((exchange, listing))
        return replace(REPORTS[-1], asset=told["asset"]), CHANGES

    monkeypatch.setattr(assets.instruments, "publish", publish)
    monkeypatch.setattr(assets.audits, "_WAIT_S", 0.001)
    REPORTS[:] = [SOUND]
    return calls


def refresh(*answers: Listing | Exception) -> dg.ExecuteInProcessResult:
    ANSWERS[:] = answers
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [*(dg.AssetSpec(name) for name in EXCHANGES), instruments_asset(EXCHANGES)],
            selection="instruments",
            instance=instance,
            partition_key="kraken",
            resources={"exchange_rest": FakeRest(), "database": NoDatabase()},
            raise_on_error=False,
        )


def repository() -> dg.RepositoryDefinition:
    return dg.Definitions(
        assets=[instruments_asset(EXCHANGES)],
        jobs=[REFRESH_INSTRUMENTS],
        schedules=[refresh_instruments_daily(EXCHANGES)],
        sensors=[instruments_missing({name: ["BTC/USD"] for name in EXCHANGES})],
        resources={"exchange_rest": FakeRest(), "database": NoDatabase()},
        executor=dg.in_process_executor,
    ).get_repository_def()


def failure(result: dg.ExecuteInProcessResult) -> Any:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return event.step_failure_data


def test_a_refresh_stores_the_listing_and_tells_what_changed(stored: list[tuple[str, Listing]]) -> None:
    result = refresh(LISTING)
    assert result.success
    assert stored == [("kraken", LISTING)]
    (materialization,) = result.asset_materializations_for_node("instruments")
    assert materialization.partition == "kraken"
    told = {name: value.value for name, value in materialization.metadata.items()}
    assert told["dagster/row_count"] == 1
    assert (told["new"], told["delisted"], told["changed status"], told["skipped"]) == (1, 1, 1, 1)
    assert told["status changes"] == "- ETH/USD: online -> cancel_only"
    assert told["no longer listed"] == "OLD/USD"
    preview = materialization.metadata["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    assert preview.records[0].data["price_increment"] == "0.00000001"


def check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_a_listing_that_meets_its_suite_passes_with_figures() -> None:
    found = check(refresh(LISTING))
    assert (found.passed, found.check_name, found.blocking) == (True, "gate", True)
    assert {name: found.metadata[name].value for name in ("staged", "passed", "quarantined", "expectations")} == {
        "staged": 9, "passed": 9, "quarantined": 0, "expectations": 1,
    }  # fmt: skip
    assert str(found.metadata["report"].value).endswith("/assets/instruments-kraken.html")
    assert "quarantined rows" not in found.metadata


def test_rows_in_quarantine_are_a_warning_that_says_what_and_why(stored: list[tuple[str, Listing]]) -> None:
    REPORTS[:] = [HELD]
    result = refresh(LISTING)
    assert result.success
    assert len(result.asset_materializations_for_node("instruments")) == 1
    found = check(result)
    assert str(found.metadata["quarantined rows"].value).endswith("/quarantine/instruments.html")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == "not met: price_step_above_zero, 1 of 9 rows in quarantine"
    not_met, examples = found.metadata["not met"], found.metadata["examples"]
    assert isinstance(not_met, dg.TableMetadataValue)
    assert isinstance(examples, dg.TableMetadataValue)
    assert not_met.records[0].data["why"] == "A step is above zero."
    assert examples.records[0].data["key"] == "kraken|ETH/USD"


def test_a_blocked_listing_fails_check_and_run_and_is_not_materialized() -> None:
    REPORTS[:] = [BLOCKED]
    result = refresh(LISTING, LISTING)
    assert not result.success
    assert (check(result).passed, check(result).severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert not result.asset_materializations_for_node("instruments")
    assert "All 9 rows of instruments are in quarantine" in failure(result).user_failure_data.description
    assert ANSWERS == [LISTING], "asking again would not help"


@pytest.mark.parametrize(
    ("error", "asked", "said"),
    [
        (GateError("no room for a metric"), 3, "The gate itself failed, not the data: no room for a metric"),
        (SuiteError("instruments.json is not JSON"), 1, "The suite is broken: instruments.json is not JSON"),
    ],
)
def test_an_error_of_the_gate_is_no_verdict_on_the_data(error: Exception, asked: int, said: str) -> None:
    REPORTS[:] = [error]
    result = refresh(*[LISTING] * 4)
    assert not result.success
    assert not result.get_asset_check_evaluations()
    assert len(ANSWERS) == 4 - asked
    assert failure(result).user_failure_data.description.startswith(said)


def test_an_exchange_that_is_away_for_a_while_is_asked_again(stored: list[tuple[str, Listing]]) -> None:
    away = TransientError("kraken: RateLimitExceeded: 429", retry_after=0.25)
    result = refresh(away, away, LISTING)
    waits = [
        event.step_retry_data.seconds_to_wait
        for event in result.all_events
        if event.event_type_value == "STEP_UP_FOR_RETRY"
    ]
    assert waits == [0.25, 0.25], "as long as the exchange asks for"
    assert result.success
    assert len(stored) == 1
    assert [event.event_type_value for event in result.all_events].count("STEP_RESTARTED") == 2


def test_an_exchange_that_stays_away_fails_with_its_last_answer(stored: list[tuple[str, Listing]]) -> None:
    result = refresh(*[TransientError(f"kraken: attempt {number}") for number in range(1, 8)])
    assert not result.success
    assert not stored
    assert len(ANSWERS) == 2, "five attempts, then it gives up"
    reason = failure(result).user_failure_data
    assert reason.description.startswith("kraken did not answer in 5 attempts")
    assert reason.description.endswith("Last answer: kraken: attempt 5")


def test_a_refusal_is_not_asked_again(stored: list[tuple[str, Listing]]) -> None:
    result = refresh(PermanentError("kraken lists no spot pair"), LISTING)
    assert not result.success
    assert not stored
    assert failure(result).user_failure_data.description == "kraken lists no spot pair"
    assert ANSWERS == [LISTING]


def test_delays_grow_and_are_capped() -> None:
    rest = ExchangeRest(first_delay_s=4, longest_delay_s=20)
    assert 2 <= rest.delay_before(1) <= 4
    assert 4 <= rest.delay_before(2) <= 8
    assert 10 <= rest.delay_before(50) <= 20


def test_the_schedule_asks_for_every_exchange_once_a_day() -> None:
    schedule = repository().get_schedule_def("refresh_instruments_daily")
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(instance, scheduled_execution_time=DAY, repository_def=repository()) as context,
    ):
        requests = schedule.evaluate_tick(context).run_requests
    assert requests is not None
    assert [(r.partition_key, r.run_key) for r in requests] == [
        ("kraken", "kraken:2026-11-21"),
        ("binance", "binance:2026-11-21"),
    ]


def test_missing_exchanges_are_asked_at_once() -> None:
    asked, attempts = due(EXCHANGES, {"kraken"}, {}, 1000)
    assert asked == ["binance"]
    assert attempts == {"binance": Attempt(1, 1000)}


def test_missing_exchanges_are_not_asked_in_a_loop() -> None:
    now, attempts, asked_at = 0.0, dict[str, Attempt](), list[float]()
    while now < 86_400:
        asked, attempts = due(["kraken"], set(), attempts, now)
        asked_at += [now] * len(asked)
        now += sensors.instruments.INTERVAL_S
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert pauses[:4] == [300, 600, 1200, 2400]
    assert max(pauses) <= 6 * 3600
    assert attempts["kraken"].number == len(asked_at) <= 12


def test_the_sensor_gives_every_attempt_a_run_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors.instruments, "known_exchanges", lambda _connection, _pairs: {"binance"})
    sensor = repository().get_sensor_def("instruments_missing")
    cursor = json.dumps({"kraken": {"number": 3, "at": 0}})
    found = {"database": NoDatabase()}

    def look(cursor: str | None) -> dg.SensorExecutionData:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance, cursor=cursor, repository_def=repository(), resources=found) as context,
        ):
            return sensor.evaluate_tick(context)

    tick = look(cursor)
    assert [(r.partition_key, r.run_key) for r in tick.run_requests or []] == [("kraken", "missing:kraken:4")]
    assert not look(tick.cursor).run_requests


def test_jobs_run_in_one_process() -> None:
    assert repository().get_job("refresh_instruments").executor_def is dg.in_process_executor
