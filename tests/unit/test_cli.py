"""The program: words, statuses, and errors that are one line and the next step, never a trace."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cryptoviz import cli
from cryptoviz.settings import PREFIX, PROJECT_ROOT

UNREACHABLE = {
    "POSTGRES_PORT": "1",
    "KAFKA_PORT": "2",
    "KAFKA_CONTROLLER_PORT": "3",
    "SIMULATOR_PORT": "4",
    "WEB_SIMULATOR_PORT": "5",
    "REPORTS_PORT": "6",
}


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{PREFIX}STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("cryptoviz.commands.topics._TIMEOUT_S", 0.2)
    for name, port in UNREACHABLE.items():
        monkeypatch.setenv(f"{PREFIX}{name}", port)


def test_help_needs_no_heavy_library() -> None:
    script = (
        "import sys; from cryptoviz import cli; status = cli.run(['--help']);"
        "heavy = {'psycopg', 'confluent_kafka', 'kafka', 'pandas', 'pyspark', 'dagster', 'supervisor'};"
        "heavy &= set(sys.modules);"
        "sys.exit(status or ('loaded: ' + ', '.join(sorted(heavy)) if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["db", "migrate"],
        ["topics", "list"],
        ["topics", "tail", "rawtrade"],
        ["stream", "restart", "ingestion"],
        ["gaps", "list"],
        ["quarantine", "list"],
        ["quarantine", "show", "1"],
        ["quarantine", "release", "1"],
        ["quarantine", "discard", "--subject", "market"],
        ["reports", "build"],
        ["simulator", "status"],
        ["simulator", "fault", "kraken", "cut"],
        ["simulator", "fault", "coindesk", "break"],
        ["logs"],
        ["logs", "collector-kraken"],
    ],
    ids=" ".join,
)
def test_with_nothing_running_a_command_says_what_to_do(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 1
    printed = capsys.readouterr()
    assert re.search(r"^error: .+", printed.err)
    assert re.search(r"^next: .+", printed.err, re.M)
    assert "Traceback" not in printed.out + printed.err


def test_status_of_nothing_is_a_failure_that_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is False
    assert {"postgres", "kafka", "ingestion", "collector-kraken", "collector-binance"} <= {
        part["name"] for part in found["parts"]
    }
    assert not any(part["healthy"] for part in found["parts"])


def test_down_with_nothing_running_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["down"]) == 0
    assert "nothing was running" in capsys.readouterr().out


def test_reset_refuses_a_folder_that_is_not_a_state_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "state"
    mine.mkdir()
    (mine / "precious.txt").write_text("mine")
    assert cli.run(["reset", "--yes"]) == 1
    assert (mine / "precious.txt").read_text() == "mine"
    assert "does not look like" in capsys.readouterr().err


def test_reset_forgets_the_state_and_keeps_the_downloads(tmp_path: Path) -> None:
    for folder in ("run", "kafka/data", "jars/kafka"):
        (tmp_path / "state" / folder).mkdir(parents=True)
    assert cli.run(["reset", "--yes"]) == 0
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"jars"}


def test_nonsense_in_the_environment_is_one_clear_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}KRAKEN_PAIRS", "XBT/USD")
    assert cli.run(["settings"]) == 1
    printed = capsys.readouterr().err
    assert f"{PREFIX}KRAKEN_PAIRS" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("words", [["nonsense"], ["topics", "tail"], ["logs", "--nonsense"]], ids=" ".join)
def test_a_wrong_word_is_a_usage_error(words: list[str]) -> None:
    assert cli.run(words) == 2


def test_the_database_address_is_ready_for_psql(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["db", "url"]) == 0
    assert re.fullmatch(r"postgresql://cryptoviz_reader:\S*@127\.0\.0\.1:1/cryptoviz\n", capsys.readouterr().out)


def test_make_help_lists_every_command() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):.*##", (PROJECT_ROOT / "Makefile").read_text(), re.M)
    wanted = {"demo", "up", "down", "restart", "status", "logs", "reset"}
    wanted |= {"test", "test-fast", "check", "bench", "docs", "lock"}
    assert wanted <= set(targets)
    listed = subprocess.run(["make", "help"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
    for target in targets:
        assert re.search(rf"make {target} +\S", listed)
