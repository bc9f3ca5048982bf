"""The sensor `history_due` and the runs it asks for: what the settings ask of the past is fetched and stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.audits import GATE
from assets.history import history_assets
from assets.history_runs import FETCH_HISTORY, SINCE, UNTIL
from assets.keys import CANDLES_OF
from assets.partitions import SERIES, month_bounds, month_of
from assets.resources import Database
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.remote.errors import PermanentError
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from dagster_project.schedules import fetch_streamed
from sensors.history import history_due
from tests.conftest import UseSettings
from tests.doubles.resources import HISTORY, SimulatedRest
from tests.integration.simulated_history import SimulatedHistory, stored, values

pytestmark = pytest.mark.services

BINANCE, PAIRS = "binance", ("BTC/USDT", "ETH/USDT")
HOURS = timedelta(hours=6)


class Platform:
    """A database, the simulated exchange, and what Dagster remembers."""

    def __init__(self, settings: Settings, connection: psycopg.Connection[Any], instance: dg.DagsterInstance) -> None:
        self.connection = connection
        self.instance = instance
        self.sensor = history_due(settings)
        self.resources = {"database": Database(), "exchange_rest": SimulatedRest()}
        self.definitions = dg.Definitions(
            assets=[*history_assets(), dg.AssetSpec("instruments")],
            jobs=[FETCH_HISTORY],
            sensors=[self.sensor],
            schedules=[fetch_streamed(settings)],
            resources=self.resources,
        )

    def tick(self) -> list[dg.RunRequest]:
        with dg.build_sensor_context(
            self.instance,
            resources={"database": self.resources["database"]},
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            result = self.sensor.evaluate_tick(context)
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return list(result.run_requests or [])

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            history_assets(),
            selection=list(request.asset_selection or []),
            instance=self.instance,
            resources=self.resources,
            tags=dict(request.tags),
            raise_on_error=False,
        )

    def progress(self) -> list[tuple[Any, ...]]:
        return self.connection.execute(
            "select symbol, timeframe, status from backfill_progress where timeframe = '1m' order by 1, 2"
        ).fetchall()


@pytest.fixture
def platform(database: Settings, use_settings: UseSettings) -> Iterator[Platform]:
    settings = database.model_copy(
        update={"exchanges": [BINANCE], "binance_pairs": list(PAIRS), "history": f"1m:{HOURS // timedelta(hours=1)}h"}
    )
    use_settings(settings)
    HISTORY[:] = [SimulatedHistory(BINANCE, PAIRS, rate=4)]
    with connect(Role.WRITER, settings, autocommit=True) as connection, dg.instance_for_test() as instance:
        yield Platform(settings, connection, instance)


def test_a_fresh_installation_fetches_all_of_it_in_one_run_of_an_exchange(platform: Platform) -> None:
    (request,) = platform.tick()
    done = platform.run(request)
    assert done.success
    assert platform.progress() == [(pair, "1m", "completed") for pair in PAIRS]
    key = CANDLES_OF[Timeframe.M1]
    months = {month_of(at) for at in (datetime.now(UTC) - HOURS, datetime.now(UTC))}
    wanted = {f"{month}|{BINANCE}:{pair}" for month in months for pair in PAIRS}
    assert platform.instance.get_materialized_partitions(key) == wanted
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (GATE, True)
    for pair in PAIRS:
        series = Series(BINANCE, pair, Timeframe.M1)
        rows = stored(platform.connection, series)
        assert rows == [
            values(row) for row in HISTORY[-1].candles(series, rows[0][0], rows[-1][0] + timedelta(minutes=1))
        ]
        assert len(rows) >= HOURS // timedelta(minutes=1) - 2
    assert platform.tick() == []


def test_a_pair_that_the_exchange_refuses_does_not_stop_the_other(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = HISTORY[-1].pages

    def refusing(exchange: str, pair: str, *range_: Any) -> Any:
        if pair == PAIRS[0]:
            raise PermanentError("binance does not know the pair")
        return pages(exchange, pair, *range_)

    monkeypatch.setattr(HISTORY[-1], "pages", refusing)
    (request,) = platform.tick()
    done = platform.run(request)
    assert not done.success
    (failure,) = done.get_step_failure_events()
    assert "does not know the pair" in str(failure.step_failure_data.user_failure_data)
    assert platform.progress() == [(PAIRS[0], "1m", "failed"), (PAIRS[1], "1m", "completed")]
    assert platform.tick() == [], "a refusal is not asked about again at once"


def test_a_month_by_hand_is_fetched_and_the_progress_left_alone(platform: Platform) -> None:
    (request,) = platform.tick()
    platform.run(request)
    before = platform.connection.execute("select * from backfill_progress order by 2, 3").fetchall()
    series, month = Series(BINANCE, PAIRS[0], Timeframe.H1), month_of(datetime.now(UTC) - HOURS)
    platform.connection.execute("update candles set volume = volume + 1 where timeframe = '1h'")
    done = dg.materialize(
        history_assets(),
        selection=[CANDLES_OF[Timeframe.H1]],
        instance=platform.instance,
        resources=platform.resources,
        partition_key=dg.MultiPartitionKey({"month": month, "series": f"{BINANCE}:{PAIRS[0]}"}),
    )
    assert done.success
    since, until = month_bounds(month)
    rows = [row for row in stored(platform.connection, series) if since <= row[0] < until]
    assert rows == [values(row) for row in HISTORY[-1].candles(series, since, rows[-1][0] + timedelta(hours=1))]
    assert platform.connection.execute("select * from backfill_progress order by 2, 3").fetchall() == before


def test_what_was_streamed_is_fetched_every_six_hours_and_compared(platform: Platform) -> None:
    known = [f"{BINANCE}:{pair}" for pair in (*PAIRS, "OLD/USDT")]
    platform.instance.add_dynamic_partitions(str(SERIES.name), known)
    at = datetime.now(UTC).replace(minute=23, second=0, microsecond=0)
    schedule = platform.definitions.get_schedule_def("fetch_streamed_every_six_hours")
    with dg.build_schedule_context(
        platform.instance, scheduled_execution_time=at, resources={"database": platform.resources["database"]}
    ) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert "OLD/USDT" not in str(request.tags), "a pair that is collected no more is asked about no more"
    since, until = (datetime.fromisoformat(request.tags[name]) for name in (SINCE, UNTIL))
    assert until - since == timedelta(hours=6)
    series = Series(BINANCE, PAIRS[0], Timeframe.M1)
    wrong = HISTORY[-1].candles(series, since, since + timedelta(minutes=1))[0]
    platform.connection.execute(
        "insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,"
        " trade_count, closed) values (%s, %s, %s, %s, '1m', %s, %s, %s, %s, %s, 1, true)",
        [wrong.window_start, wrong.window_end, BINANCE, PAIRS[0], *[wrong.open] * 4, wrong.volume + 1],
    )
    assert platform.run(request).success
    assert stored(platform.connection, series)[0][0] == since
    assert len(stored(platform.connection, series)) == 360
    found = platform.connection.execute("select window_start, rest_volume from candle_differences").fetchall()
    assert (since, wrong.volume) in found
    assert platform.progress() == []
