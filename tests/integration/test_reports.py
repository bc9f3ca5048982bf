"""The reports from what the gate wrote into a real database, of each edition."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

import sensors.reports
from assets.reports import reports_asset
from assets.resources import Database
from cryptoviz import cli
from cryptoviz.gate.outbox import judge_staged
from cryptoviz.gate.staging import stage
from cryptoviz.reports import documents, store
from cryptoviz.reports.address import quarantine_page, report_page, reports_folder
from cryptoviz.reports.facts import KEEP, Stored, TableState
from cryptoviz.reports.site import build
from cryptoviz.reports.store import built_at
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Role, Settings
from cryptoviz.storage.database import connect
from sensors.tables import table_figures
from tests.conftest import UseSettings
from tests.integration.test_gate import ASSET, INCIDENT, SOUND, coin
from tests.unit.test_reports import problems, shown

pytestmark = pytest.mark.services


@pytest.fixture
def settings(each_database: Settings, tmp_path: Path) -> Settings:
    """The database of the test, and a state folder of its own."""
    return each_database.model_copy(update={"state_dir": tmp_path})


def test_an_empty_database_gives_a_site_that_says_so(settings: Settings) -> None:
    built = build(settings)
    assert (built.assets, built.documents, built.open_rows, built.trouble) == (0, 0, {}, "")
    assert "Nothing has been judged yet." in shown(reports_folder(settings), "index.html")
    assert problems(reports_folder(settings)) == []
    assert built_at(reports_folder(settings)) == built.at


@pytest.mark.slow
def test_an_incident_is_told_from_the_index_to_the_row(
    settings: Settings, each_writer: psycopg.Connection[Any]
) -> None:
    stage(each_writer, "market", SOUND, "run-1")
    judge_staged(each_writer, "market", "run-1", ASSET)
    folder = reports_folder(settings)
    first = build(settings)
    assert (first.assets, first.failing, first.documents, first.rendered, first.left) == (1, (), 1, 1, 0)
    assert "All is well: 1 table judged" in shown(folder, "index.html")

    stage(each_writer, "market", [INCIDENT, coin("SOL", 3)], "run-2")
    judge_staged(each_writer, "market", "run-2", ASSET)
    second = build(settings)
    assert (second.failing, second.open_rows, second.rendered) == ((ASSET,), {"market": 1}, 1)
    assert problems(folder) == []
    index = shown(folder, "index.html")
    assert "1 table needs a look of 1: poll/market" in index
    kept = shown(folder, quarantine_page("market"))
    [(number, reason)] = each_writer.execute("select id, reason from quarantine").fetchall()
    assert reason in kept
    assert f"cryptoviz quarantine release {number}" in kept
    assert '"market_cap": "3300000000000"' in kept
    assert "Last 48 hours: 1 passed, 1 failed, 1 row into quarantine" in shown(folder, report_page(ASSET))

    with connect(Role.READER, settings, autocommit=True) as connection:
        found = Stored(connection).facts(datetime.now(UTC))
    [judgement] = found.judgements
    assert (judgement.state, judgement.run, judgement.suite) == (TableState.FAIL, "run-2", "market")
    newest, oldest = found.documents
    assert newest.failed
    assert not oldest.failed
    text = shown(folder, documents.location(newest))
    why = next(finding.expectation for finding in judgement.faults)
    assert why in newest.failed
    assert "cannot show" not in text
    assert "1 unexpected values found" in text
    assert "EVIL" in text


@pytest.mark.slow
def test_what_is_older_than_a_month_goes(settings: Settings, each_writer: psycopg.Connection[Any]) -> None:
    stage(each_writer, "market", SOUND, "run-1")
    judge_staged(each_writer, "market", "run-1", ASSET)
    now = datetime.now(UTC)
    assert build(settings, now=now).documents == 1
    later = build(settings, now=now + KEEP + timedelta(minutes=1))
    assert (later.documents, later.removed, later.rendered) == (0, 1, 0)
    assert list((reports_folder(settings) / store.DOCUMENTS).rglob("*.html")) == []
    assert problems(reports_folder(settings)) == []


def test_a_database_that_is_away_leaves_the_site_before(settings: Settings) -> None:
    build(settings)
    before = (reports_folder(settings) / store.SITE).readlink()
    away = settings.model_copy(
        update={"postgres_port": 1, "database_url": None, "database_writer_url": None, "database_reader_url": None}
    )
    with pytest.raises(psycopg.OperationalError):
        build(away)
    assert (reports_folder(settings) / store.SITE).readlink() == before


@pytest.mark.slow
def test_the_asset_tells_its_figures_and_the_sensor_asks_for_it_when_something_new_fails(
    database: Settings, tmp_path: Path, use_settings: UseSettings
) -> None:
    settings = use_settings(database.model_copy(update={"state_dir": tmp_path}))

    def asked(cursor: str | None = None) -> tuple[int, str | None]:
        with dg.build_sensor_context(cursor=cursor, resources={"database": Database()}) as context:
            result = sensors.reports.reports_outdated(context)
        assert isinstance(result, dg.SensorResult)
        return len(result.run_requests or []), result.cursor

    assert asked()[0] == 0, "nothing has been judged"
    with connect(Role.WRITER, settings, autocommit=True) as writer:
        stage(writer, "market", [INCIDENT, coin("SOL", 3)], "run-1")
        judge_staged(writer, "market", "run-1", ASSET)
        requests, cursor = asked()
        assert requests == 1
        assert asked(cursor)[0] == 0, "it was asked for a moment ago"
        done = dg.materialize([reports_asset(settings)], resources={"database": Database()})
        assert asked()[0] == 0, "the report tells it"
        [told] = done.asset_materializations_for_node("reports")
        figures = {name: value.value for name, value in told.metadata.items()}
        assert figures["report"] == f"http://127.0.0.1:{settings.reports_port}/"
        assert (figures["tables that do not pass"], figures["not passing"]) == (1, ASSET)
        assert (figures["open in quarantine"], figures["open market"]) == (1, 1)
        assert figures["documents rendered"] == 1
        quarantine = next(one for one in table_figures(writer) if one.asset == dg.AssetKey("quarantine"))
        assert (quarantine.numbers["open"], quarantine.numbers["open market"]) == (1, 1)


def test_the_command_builds_and_says_what_it_found(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}STATE_DIR", str(tmp_path))
    for role in ("DATABASE", "DATABASE_READER"):
        monkeypatch.setenv(f"{PREFIX}{role}_URL", database.database(Role.READER))
    assert cli.run(["reports", "build", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["assets"], told["failing"], told["open_rows"]) == (0, [], {})
    assert cli.run(["reports", "build"]) == 0
    assert "nothing has been judged yet" in capsys.readouterr().out
    assert cli.run(["reports", "open-url", "poll/market"]) == 0
    assert capsys.readouterr().out.strip().endswith("/assets/poll-market.html")


def test_building_a_site_without_new_documents_needs_no_great_expectations(settings: Settings) -> None:
    script = (
        "import sys; from cryptoviz.settings import load; from cryptoviz.reports.site import build\n"
        "build(load(state_dir=sys.argv[1], database_url=sys.argv[2], database_reader_url=sys.argv[2]))\n"
        "print('great_expectations' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(settings.state_dir), settings.database(Role.READER)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
