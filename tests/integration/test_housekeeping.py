"""The nightly purge on a Dagster instance of its own: what is old goes, what the pages show of an asset stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pytest
from pydantic import SecretStr

import jobs.housekeeping
from assets.polls import POLL_MARKET
from assets.resources import Database
from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.retention.housekeeping import KEPT, forget
from cryptoviz.settings import Role, Settings, settings
from cryptoviz.storage.database import connect
from dagster_project.instance import KEPT as KEPT_OPEN
from jobs.housekeeping import PURGE_HISTORY
from tests.conftest import Cluster, UseSettings

pytestmark = [pytest.mark.services, pytest.mark.slow]

OLD = timedelta(days=40)


@pytest.fixture
def instance(
    database: Settings, postgres_cluster: Cluster, tmp_path: Path, use_settings: UseSettings
) -> Iterator[dg.DagsterInstance]:
    own = postgres_cluster.empty_database(postgres_cluster.editions[-1])
    url = own.database(Role.OWNER)
    use_settings(database.model_copy(update={"dagster_database_url": SecretStr(url)}))
    address = urlsplit(url)
    (tmp_path / "dagster.yaml").write_text(f"""
storage:
  custom:
    module: dagster_project.instance
    class: PooledStorage
    config:
      postgres_db:
        scheme: postgresql+psycopg2
        username: {address.username}
        password: {address.password}
        hostname: {address.hostname}
        port: {address.port}
        db_name: {address.path[1:]}
telemetry: {{enabled: false}}
""")
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made
    postgres_cluster.drop(own)


@contextmanager
def storage() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings().dagster_database(), autocommit=True) as connection:
        yield connection


def age(since: int, by: timedelta = OLD) -> None:
    """Make what was written after event `since` older, by forty days."""
    with storage() as connection:
        connection.execute("UPDATE event_logs SET timestamp = timestamp - %s WHERE id > %s", [by, since])
        connection.execute("UPDATE runs SET update_timestamp = update_timestamp - %s", [by])
        connection.execute("UPDATE asset_check_executions SET create_timestamp = create_timestamp - %s", [by])


def count(table: str) -> int:
    with storage() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


days = dg.StaticPartitionsDefinition(["monday", "tuesday"])


@dg.asset(partitions_def=days)
def daily() -> None:
    """A partition each."""


@dg.asset_check(asset=daily)
def sound() -> dg.AssetCheckResult:
    """Holds."""
    return dg.AssetCheckResult(passed=True)


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def idle() -> None:
    """Leaves only logs."""
    nothing()


def materialize(instance: dg.DagsterInstance, partition: str) -> str:
    return dg.materialize([daily, sound], partition_key=partition, instance=instance).run_id


def report(instance: dg.DagsterInstance, lag: int) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("stream", metadata={"lag": lag}))


def purge(instance: dg.DagsterInstance) -> dict[str, Any]:
    result = PURGE_HISTORY.execute_in_process(instance=instance, resources={"database": Database()})
    assert result.success
    with connect(Role.READER, settings()) as connection:
        row = connection.execute("SELECT detail FROM action_log ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    return dict(row[0])


def test_old_history_goes_and_the_state_of_every_asset_stays(instance: dg.DagsterInstance) -> None:
    first = materialize(instance, "monday")
    superseded = materialize(instance, "tuesday")
    newest = materialize(instance, "tuesday")
    logs = idle.execute_in_process(instance=instance).run_id
    for lag in range(5):
        report(instance, lag)
    age(0)
    young = idle.execute_in_process(instance=instance).run_id
    events = count("event_logs")
    checks = count("asset_check_executions")

    told = purge(instance)

    assert told["result"] == "done"
    kept = {record.run_id for record in instance.get_runs()}
    assert {first, newest, young} <= kept
    assert superseded not in kept
    assert logs not in kept
    assert count("event_logs") < events
    assert instance.get_materialized_partitions(dg.AssetKey("daily")) == {"monday", "tuesday"}
    latest = instance.get_latest_materialization_event(dg.AssetKey("stream"))
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["lag"].value == 4
    assert len(instance.fetch_materializations(dg.AssetKey("stream"), limit=10).records) == 1
    assert 0 < count("asset_check_executions") < checks
    latest_check = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey("daily"), "sound")]
    )
    assert len(latest_check) == 1
    before = count("event_logs"), count("runs") - 1
    again = purge(instance)
    assert not {"runs", "events", "reports", "check executions"} & again.keys()
    assert count("runs") - 2 == before[1], "only the run of the purge itself was added"


def test_polls_that_went_well_go_earlier_and_the_newest_of_them_stays(instance: dg.DagsterInstance) -> None:
    poll = dg.define_asset_job(POLL_MARKET.name, selection=[daily], partitions_def=days).resolve(
        asset_graph=dg.Definitions(assets=[daily], asset_checks=[sound]).get_repository_def().asset_graph
    )
    first, newest = (poll.execute_in_process(instance=instance, partition_key="monday").run_id for _ in range(2))
    other = idle.execute_in_process(instance=instance).run_id
    age(0, timedelta(days=5))

    purge(instance)

    kept = {record.run_id for record in instance.get_runs()}
    assert first not in kept
    assert {newest, other} <= kept
    assert instance.get_materialized_partitions(dg.AssetKey("daily")) == {"monday"}


def test_young_history_is_left_alone(instance: dg.DagsterInstance) -> None:
    materialize(instance, "monday")
    materialize(instance, "monday")
    report(instance, 1)
    report(instance, 2)
    runs = count("runs")
    told = purge(instance)
    assert not {"runs", "events", "reports", "check executions"} & told.keys()
    assert count("runs") == runs + 1
    assert len(instance.fetch_materializations(dg.AssetKey("stream"), limit=10).records) == 2


def test_purging_in_small_batches_comes_to_the_same(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.housekeeping.purge, "__kwdefaults__", {"batch": 2})
    for lag in range(7):
        report(instance, lag)
    age(0)
    assert purge(instance)["reports"] == 6


def test_the_platforms_records_of_itself_are_forgotten_in_time(database: Settings) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    rows = {
        "quarantine": "insert into quarantine (subject, reason, payload, last_seen_at) values ('mood', '', '{}', %s)",
        "quality_results": "insert into quality_results (run, asset, suite, expectation, severity, success, "
        "evaluated_at) values (%s, '', '', '', 'info', true, %s)",
        "quality_documents": "insert into quality_documents (asset, evaluated_at, run, suite, success, document) "
        "values ('', %s, '', '', true, '{}')",
        "stream_events": "insert into stream_events (name, at, event, epoch) values ('', %s, 'started', 1)",
        "platform_alerts": "insert into platform_alerts (kind, subject, opened_at, last_seen_at, closed_at, severity, "
        "message) values ('', %s, %s, %s, %s, 'info', '')",
    }
    assert rows.keys() == KEPT.keys()
    with connect(Role.WRITER, database, autocommit=True) as connection:
        for table, statement in rows.items():
            for hours in (-1, 1, 2, 3):
                at = now - KEPT[table] - timedelta(hours=hours)
                arguments = [at] * statement.count("%s")
                connection.execute(statement, [*map(str, arguments[:-1]), at])  # type: ignore[arg-type]
        undecided = "insert into quarantine (subject, reason, payload, last_seen_at, discarded_at)"
        for discarded in (None, now):
            values = " values ('trades_import', '', '{}', '2020-01-01Z', %s)"
            connection.execute(undecided + values, [discarded])
        statement = "insert into platform_alerts (kind, subject, opened_at, last_seen_at, severity, message)"
        connection.execute(statement + " values ('', 'open', '2020-01-01Z', '2020-01-01Z', 'info', '')")
        for subject in SUBJECTS.values():
            for number, hours in enumerate((-1, 1)):
                connection.execute(
                    "insert into published_keys values (%s, %s, %s)",
                    [subject.name, str(number), now - subject.memory - timedelta(hours=hours)],
                )
        found: Counter[str] = Counter()
        for batch in forget(connection, now, batch=2):
            assert batch.count <= 2
            found[batch.what] += batch.count
        assert found == dict.fromkeys(KEPT, 3) | {"quarantine": 4, "published_keys": len(SUBJECTS)}
        assert not list(forget(connection, now))
        assert connection.execute("select count(*) from platform_alerts").fetchone() == (2,)
        left = "select count(discarded_at), count(*) from quarantine where subject = 'trades_import'"
        assert connection.execute(left).fetchone() == (0, 1), "a minute waits for its decision"


BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_instances_share_connections_and_replace_what_the_server_has_ended(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    def backends() -> set[tuple[int]]:
        instance.get_runs(limit=1)
        instance.fetch_materializations(dg.AssetKey("candles"), limit=1)
        with storage() as connection:
            return set(connection.execute(BACKENDS).fetchall())

    kept = backends()
    assert 1 <= len(kept) <= KEPT_OPEN
    with dg.DagsterInstance.from_config(str(tmp_path)) as another:
        another.all_instigator_state()
        assert backends() == kept
    with storage() as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({BACKENDS}) others")
    assert not kept & backends()
