"""What is in quarantine can be listed, shown, released (judged once more) and discarded, by hand and with audit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from cryptoviz import cli
from cryptoviz.gate.outbox import deliver, judge_staged
from cryptoviz.gate.staging import StagedRow, stage
from cryptoviz.instruments import Instrument, Listing, publish
from cryptoviz.quarantine import discard, list_rows, open_ids, release, show_row
from cryptoviz.settings import PREFIX, Role, Settings
from tests.doubles.bus import MemoryProducer

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(microsecond=0)


def mood(day: int, classification: str = "Greed", value: int = 60) -> StagedRow:
    when = (NOW - timedelta(days=day)).replace(hour=0, minute=0, second=0)
    payload = {
        "received_at": NOW.isoformat(),
        "timestamp": when.isoformat(),
        "source": "alternative.me",
        "value": value,
        "classification": classification,
    }
    return StagedRow(when.isoformat(), payload, {"source": "fear_greed"})


@pytest.fixture
def held(writer: psycopg.Connection[Any]) -> list[int]:
    """Two rows in quarantine: one whose word does not fit, one whose value is impossible."""
    stage(writer, "mood", [mood(1, "Fear"), mood(2, "Extreme Greed", 120)], "run-1")
    judge_staged(writer, "mood", "run-1", "poll/mood")
    return open_ids(writer, "mood")


def correct(writer: psycopg.Connection[Any], number: int) -> None:
    """As if the suite had been wrong: what was held back meets it now."""
    statement = "update quarantine set payload = jsonb_set(payload, '{classification}', '\"Greed\"') where id = %s"
    writer.execute(statement, [number])


def test_a_row_comes_back_as_the_one_row_it_is(writer: psycopg.Connection[Any], held: list[int]) -> None:
    stage(writer, "mood", [mood(1, "Fear")], "run-2")
    judge_staged(writer, "mood", "run-2", "poll/mood")
    rows = list_rows(writer, subject="mood")
    assert [row["id"] for row in rows] == [held[0], held[1]], "the last seen first"
    assert [row["occurrences"] for row in rows] == [2, 1]
    row = show_row(writer, held[0])
    assert row is not None
    assert row["expectation"] == "classification_fits"
    assert row["reason"].endswith("(classification: Fear, fitting: Greed).")
    assert (row["payload"]["value"], row["origin"]) == (60, {"run": "run-2", "source": "fear_greed"})
    assert row["run"] == "run-2"
    assert show_row(writer, 10**6) is None


def test_release_refuses_what_still_fails_and_says_why(writer: psycopg.Connection[Any], held: list[int]) -> None:
    found = release(writer, [*held, 10**6], "ada")
    assert [one.done for one in found] == [False, False, False]
    assert "classification: Fear" in found[0].why
    assert found[2].why == "there is no such row"
    assert open_ids(writer, "mood") == held


def test_what_is_released_is_published_once_by_the_ordinary_path(
    writer: psycopg.Connection[Any], held: list[int]
) -> None:
    correct(writer, held[0])
    assert [one.done for one in release(writer, held, "ada")] == [True, False]
    row = show_row(writer, held[0])
    assert row is not None
    assert (row["state"], row["resolved_by"]) == ("released", "ada")
    producer = MemoryProducer()
    assert judge_staged(writer, "mood", "run-2", "poll/mood").standing, "it is not judged a third time"
    assert deliver(writer, producer, "mood") == 1
    assert [record.classification for record in producer.of("rawmood")] == ["Greed"]
    assert [one.why for one in release(writer, held[:1], "ada")] == ["it is released already"]
    assert deliver(writer, producer, "mood") == 0
    assert stage(writer, "mood", [mood(1)], "run-3") == 0, "its key is known as published"


def test_what_is_discarded_is_not_staged_again(writer: psycopg.Connection[Any], held: list[int]) -> None:
    assert [one.done for one in discard(writer, held, "ada")] == [True, True]
    assert list_rows(writer) == []
    assert {row["state"] for row in list_rows(writer, every=True)} == {"discarded"}
    assert stage(writer, "mood", [mood(1, "Fear"), mood(3)], "run-2") == 1
    assert [one.why for one in release(writer, held, "ada")] == ["it is discarded already"] * 2


def test_a_pair_is_released_into_the_table(writer: psycopg.Connection[Any]) -> None:
    btc = Instrument("kraken", "BTC/USD", "online", None, None)
    broken = Instrument("kraken", "eth-usd", "online", None, None)
    publish(writer, "kraken", Listing((btc, broken)), NOW, run="run", asset="instruments")
    (number,) = open_ids(writer, "instruments")
    assert not release(writer, [number], "ada")[0].done
    writer.execute("update quarantine set payload = jsonb_set(payload, '{pair}', '\"ETH/USD\"')")
    assert release(writer, [number], "ada")[0].done
    assert writer.execute("select pair, seen_to from instruments order by pair").fetchall() == [
        ("BTC/USD", NOW),
        ("ETH/USD", NOW),
    ]


@pytest.fixture
def command_line(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("writer", "reader"):
        monkeypatch.setenv(f"{PREFIX}DATABASE_{role.upper()}_URL", database.database(Role(role)))
    monkeypatch.setenv(f"{PREFIX}KAFKA_PORT", "1")
    monkeypatch.setattr("cryptoviz.gate.outbox.ACKNOWLEDGED_S", 0.5)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = cli.run(["quarantine", *words])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


@pytest.mark.usefixtures("command_line")
def test_the_command_line_lists_shows_discards_and_writes_it_down(
    writer: psycopg.Connection[Any], held: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = said(capsys, "list")
    assert status == 0
    assert "classification_fits" in text
    status, text = said(capsys, "list", "--json")
    assert [row["expectation"] for row in json.loads(text)] == ["value_in_range", "classification_fits"]
    status, text = said(capsys, "show", str(held[0]))
    assert status == 0
    assert "classification: Fear, fitting: Greed" in text
    assert said(capsys, "show", "999999")[0] == 1
    status, text = said(capsys, "release", str(held[0]))
    assert (status, f"{held[0]} not released" in text) == (1, True)
    status, text = said(capsys, "discard", "--subject", "mood", "--reason", "a test")
    assert (status, text.count("discarded")) == (0, 2)
    assert said(capsys, "list")[1].strip() == "nothing is in quarantine"
    entries = writer.execute("select action, subject, detail from action_log order by id").fetchall()
    assert [(action, subject, detail["result"]) for action, subject, detail in entries] == [
        ("release_quarantined", "", "done"),
        ("discard_quarantined", "mood", "done"),
    ]
    assert entries[0][2]["refused"].keys() == {str(held[0])}
    assert (entries[1][2]["done"], entries[1][2]["reason"]) == (held, "a test")


@pytest.mark.usefixtures("command_line")
def test_nothing_is_released_unless_it_is_named(capsys: pytest.CaptureFixture[str], held: list[int]) -> None:
    status, text = said(capsys, "release")
    assert status == 1
    assert "no row is named" in text


@pytest.mark.usefixtures("command_line")
def test_without_a_broker_what_is_released_waits_in_the_outbox(
    writer: psycopg.Connection[Any], held: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    correct(writer, held[0])
    status, text = said(capsys, "release", str(held[0]))
    assert status == 1
    assert f"{held[0]} released" in text
    assert "error: not sent yet" in text
    producer = MemoryProducer()
    assert deliver(writer, producer, "mood") == 1
