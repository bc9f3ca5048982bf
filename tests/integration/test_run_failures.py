"""The sensor `run_failures` on a real database: one alert for each failure, closed by the next success."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.resources import Database
from cryptoviz.settings import Role, Settings, settings
from cryptoviz.storage.database import connect
from sensors.failures import Ended, alerts, over, run_failures
from tests.conftest import UseSettings
from tests.doubles.resources import DatabaseAway

pytestmark = pytest.mark.services

BROKEN: set[str] = set()


@pytest.fixture
def reader(database: Settings, use_settings: UseSettings) -> Iterator[psycopg.Connection[Any]]:
    use_settings(database)
    BROKEN.clear()
    with connect(Role.READER, database, autocommit=True) as connection:
        yield connection


@dg.op
def fetch() -> None:
    """Fails while it is broken."""
    if "fetch" in BROKEN:
        raise dg.Failure("the source does not answer")


@dg.job
def nightly() -> None:
    """One step."""
    fetch()


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["kraken", "binance"]))
def listing(context: dg.AssetExecutionContext) -> None:
    """Fails for a broken partition."""
    if context.partition_key in BROKEN:
        raise ValueError(f"{context.partition_key} refused")


class Watch:
    """The sensor with its cursor, on one instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None

    def nightly(self) -> None:
        nightly.execute_in_process(instance=self.instance, raise_on_error=False)

    def listing(self, partition: str) -> None:
        dg.materialize([listing], partition_key=partition, instance=self.instance, raise_on_error=False)

    def look(self, database: Database | None = None) -> str | None:
        sensor = run_failures(settings())
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"database": database or Database()}
        ) as context:
            result = sensor.evaluate_tick(context)
        self.cursor = result.cursor or self.cursor
        return result.skip_message


@pytest.fixture
def watch() -> Iterator[Watch]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watch(instance)


def found(reader: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return reader.execute(
        "SELECT kind, subject, message, occurrences, closed_at IS NULL FROM platform_alerts ORDER BY opened_at"
    ).fetchall()


def test_a_job_that_fails_again_and_again_is_one_alert_until_it_succeeds(
    watch: Watch, reader: psycopg.Connection[Any]
) -> None:
    BROKEN.add("fetch")
    for _ in range(3):
        watch.nightly()
        watch.look()
    message = "nightly: fetch failed: the source does not answer"
    assert found(reader) == [("run_failed", "nightly: fetch", message, 3, True)]
    watch.look()
    assert found(reader)[0][3] == 3, "no run is counted twice"
    BROKEN.clear()
    watch.nightly()
    watch.look()
    assert found(reader) == [("run_failed", "nightly: fetch", message, 3, False)]


def test_an_asset_s_alert_is_closed_by_the_same_partition_only(watch: Watch, reader: psycopg.Connection[Any]) -> None:
    BROKEN.add("kraken")
    watch.listing("kraken")
    watch.listing("binance")
    watch.look()
    assert [(row[1], row[2], row[4]) for row in found(reader)] == [
        (
            "listing (partition kraken)",
            "listing (partition kraken) failed: ValueError: kraken refused",
            True,
        )
    ]
    BROKEN.clear()
    watch.listing("kraken")
    watch.look()
    assert [row[4] for row in found(reader)] == [False]


def test_each_partition_that_fails_has_its_own_alert(watch: Watch, reader: psycopg.Connection[Any]) -> None:
    BROKEN.update({"kraken", "binance"})
    watch.listing("kraken")
    watch.listing("binance")
    watch.look()
    BROKEN.clear()
    watch.listing("binance")
    watch.look()
    assert {row[1]: row[4] for row in found(reader)} == {
        "listing (partition kraken)": True,
        "listing (partition binance)": False,
    }


@pytest.mark.parametrize(("text", "reason"), [("connection refused", "connection refused"), ("", "OperationalError")])
def test_no_failure_is_forgotten_while_the_database_is_away(
    watch: Watch, reader: psycopg.Connection[Any], text: str, reason: str
) -> None:
    BROKEN.add("fetch")
    watch.nightly()
    assert watch.look(DatabaseAway(reason=text)) == f"the database does not answer: {reason}"
    watch.look()
    assert [row[1] for row in found(reader)] == ["nightly: fetch"]


def test_a_run_that_fails_before_any_step_is_told_by_its_job() -> None:
    (alert,) = alerts(Ended("r", "nightly", "", reason="no code location"))
    assert (alert.subject, alert.message) == ("nightly", "nightly failed: no code location")
    assert over(Ended("r", "nightly", "", succeeded=["fetch"])) == {"nightly", "nightly: fetch"}
    assert over(Ended("r", "nightly", "", failed={"fetch": "broken"})) == set()
    assert over(Ended("r", "__ASSET_JOB", "kraken", succeeded=["listing"])) == {
        "listing", "listing (partition kraken)", "a run of assets", "a run of assets (partition kraken)",
    }  # fmt: skip
