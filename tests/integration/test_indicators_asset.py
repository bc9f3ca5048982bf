"""The asset `indicators` and the sensor that keeps it in step, on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest

import sensors.indicators
from assets.indicators import REFRESH_INDICATORS, IndicatorsConfig, indicators
from assets.keys import INDICATORS
from assets.resources import Database
from cryptoviz.settings import Settings
from sensors.indicators import indicators_due
from tests.conftest import UseSettings
from tests.doubles.resources import DatabaseAway

pytestmark = pytest.mark.services

HERE = Database()
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def days(connection: psycopg.Connection[Any], symbol: str, first: int, last: int) -> None:
    """Daily candles of a pair, from so many days ago to so many."""
    connection.execute(
        "insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,"
        " closed) select at, at + interval '1 day', 'kraken', %s, '1d', 100 + n %% 7, 200, 1, 100 + n %% 7, 1, true"
        " from (select n, %s - n * interval '1 day' as at from generate_series(%s::integer, %s::integer) n) days",
        (symbol, TODAY, last, first),
    )


@pytest.fixture(autouse=True)
def in_use(database: Settings, use_settings: UseSettings) -> None:
    """The asset and the sensor work on the test's database."""
    use_settings(database)


def tick(instance: dg.DagsterInstance, database: Database = HERE) -> Any:
    with dg.build_sensor_context(instance, resources={"database": database}) as context:
        return indicators_due.evaluate_tick(context)


def run(**config: bool) -> dict[str, Any]:
    done = dg.materialize(
        [indicators],
        resources={"database": HERE},
        run_config=dg.RunConfig(ops={"indicators": IndicatorsConfig(**config)}),
    )
    (event,) = done.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_tick_computes_what_is_due_and_says_so(writer: psycopg.Connection[Any]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(instance).asset_events == []
        days(writer, "BTC/USD", 60, 2)
        days(writer, "ETH/USD", 40, 2)
        result = tick(instance)
        assert result.run_requests == []
        (event,) = result.asset_events
        assert event.asset_key == INDICATORS
        numbers = {name: value.value for name, value in event.metadata.items()}
        assert (numbers["rows written"], numbers["series corrected"], numbers["series still waiting"]) == (98, 2, 0)
        assert (numbers["series"], numbers["newest"]) == (2, (TODAY - timedelta(days=2)).timestamp())
        days(writer, "BTC/USD", 1, 1)
        days(writer, "ETH/USD", 1, 1)
        (event,) = tick(instance).asset_events
        numbers = {name: value.value for name, value in event.metadata.items()}
        assert (numbers["candles computed together"], numbers["series corrected"]) == (2, 0)
        assert tick(instance).asset_events == []


def test_what_a_tick_has_no_time_for_is_left_to_a_run(
    writer: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors.indicators, "PATIENCE_S", 0)
    days(writer, "BTC/USD", 60, 2)
    with dg.DagsterInstance.ephemeral() as instance:
        assert len(tick(instance).run_requests) == 1
        under_way = instance.create_run_for_job(
            dg.Definitions(
                assets=[indicators], jobs=[REFRESH_INDICATORS], resources={"database": HERE}
            ).resolve_job_def(REFRESH_INDICATORS.name)
        )
        assert under_way.status is dg.DagsterRunStatus.NOT_STARTED
        assert tick(instance).run_requests == []
    numbers = run()
    assert (numbers["rows written"], numbers["series still waiting"]) == (59, 0)
    assert writer.execute("select count(*), count(macd) from indicators").fetchone() == (59, 26)


def test_the_whole_history_is_computed_anew_on_request_and_only_what_is_wrong_is_written(
    writer: psycopg.Connection[Any],
) -> None:
    days(writer, "BTC/USD", 60, 1)
    assert run()["rows written"] == 60
    writer.execute("update indicators set rsi_14 = 1 where window_start >= %s", (TODAY - timedelta(days=3),))
    assert run()["rows written"] == 0
    assert run(whole_history=True)["rows that differed in the whole history"] == 3
    assert run(whole_history=True)["rows that differed in the whole history"] == 0


def test_a_database_that_is_away_is_no_failure(writer: psycopg.Connection[Any]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert "connection refused" in tick(instance, DatabaseAway(reason="connection refused")).skip_message
