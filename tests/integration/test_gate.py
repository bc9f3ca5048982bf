"""From staging to the topic in a real database: nothing lost, nothing unjudged, whoever is killed."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cryptoviz.gate import engine, outbox, suites
from cryptoviz.gate.audit import audit
from cryptoviz.gate.outbox import DeliveryError, deliver, judge_staged
from cryptoviz.gate.report import GateError, GateReport, Scope, SuiteError
from cryptoviz.gate.staging import StagedRow, stage
from cryptoviz.settings import PROJECT_ROOT, Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query
from tests.doubles.bus import MemoryProducer

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(microsecond=0)
ASSET = "poll/market"


def coin(symbol: str, rank: int, **changed: Any) -> StagedRow:
    when = (NOW - timedelta(seconds=40)).isoformat().replace("+00:00", "Z")
    payload = {
        "received_at": NOW.isoformat().replace("+00:00", "Z"),
        "timestamp": when,
        "source": "coingecko",
        "symbol": symbol,
        "name": f"Coin {symbol}",
        "price_usd": "100.000000000000000001",
        "market_cap": "1000000",
        "volume_24h": "50000",
        "change_1h": 0.1,
        "change_24h": 1.0,
        "change_7d": None,
        "ath": "200",
        "atl": "1",
        "circulating_supply": "10000",
        "rank": rank,
    } | changed
    return StagedRow(
        f"{payload['timestamp']}|coingecko|{symbol}", payload, {"source": "coingecko", "answered": 2, "asked": 2}
    )


SOUND = [coin("BTC", 1), coin("ETH", 2)]
INCIDENT = coin(
    "EVIL", 1, price_usd="3.3", market_cap="3300000000000", volume_24h="5", circulating_supply="1000000000000"
)


def count(connection: psycopg.Connection[Any], table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchone()[0])  # type: ignore[arg-type,index]


def test_sound_rows_reach_the_topic_once_and_exactly(writer: psycopg.Connection[Any]) -> None:
    producer = MemoryProducer()
    assert stage(writer, "market", SOUND, "run-1") == 2
    assert stage(writer, "market", SOUND, "run-2") == 0, "they wait already"
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert report.passed
    assert not report.blocked
    assert (report.counts.staged, report.counts.passed, report.counts.quarantined) == (2, 2, 0)
    assert report.newest == NOW - timedelta(seconds=40)
    assert deliver(writer, producer, "market") == 2
    assert [str(record.price_usd) for record in producer.of("rawmarket")] == ["100.000000000000000001"] * 2
    assert count(writer, "staging") == 0
    assert stage(writer, "market", SOUND, "run-3") == 0, "they were published already"
    assert deliver(writer, producer, "market") == 0


def test_a_row_that_fails_is_quarantined_with_its_reason_and_the_rest_is_published(
    writer: psycopg.Connection[Any],
) -> None:
    stage(writer, "market", [INCIDENT, coin("BTC", 2), coin("ETH", 3)], "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert not report.passed
    assert not report.blocked
    assert (report.counts.passed, report.counts.quarantined) == (1, 2)
    held = {
        payload["symbol"]: (expectation, reason)
        for expectation, reason, payload in writer.execute("select expectation, reason, payload from quarantine")
    }
    assert held["EVIL"][0] == "rank_one_is_bitcoin"
    assert "symbol: EVIL, rank: 1" in held["EVIL"][1]
    assert "no volume supports (cap_to_volume: 6.6e+11, cap: 3.3e+12)" in held["EVIL"][1]
    assert held["BTC"][0] == "bitcoin_is_rank_one"
    written = dict(writer.execute("select expectation, success from quality_results where run = 'run-1'").fetchall())
    assert written.keys() == {one.name for one in suites.read("market").expectations} | {"is_a_record"}
    assert {name for name, success in written.items() if not success} == {result.name for result in report.failed}
    failing = {result.name: result for result in report.failed}
    assert failing["rank_one_is_bitcoin"].examples[0]["symbol"] == "EVIL"


def test_a_failure_about_the_whole_batch_holds_everything_back(writer: psycopg.Connection[Any]) -> None:
    few = {"answered": 2, "asked": 250}
    stage(writer, "market", [StagedRow(row.key, row.payload, few) for row in SOUND], "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert report.blocked
    assert (report.counts.passed, report.counts.quarantined) == (0, 2)
    assert [result.name for result in report.results if result.blocks] == ["enough_rows"]
    assert count(writer, "staging") == 0
    assert dict(writer.execute("select expectation, count(*) from quarantine group by 1").fetchall()) == {
        "enough_rows": 2
    }
    assert deliver(writer, MemoryProducer(), "market") == 0


def test_what_is_wrong_with_all_that_one_source_sent_holds_back_that_source_only(
    writer: psycopg.Connection[Any],
) -> None:
    other = coin("ETH", 2, source="coinmarketcap")
    stage(writer, "market", [*SOUND, StagedRow("other", other.payload, {"answered": 1, "asked": 100})], "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert not report.passed
    assert not report.blocked
    assert [result.name for result in report.results if result.blocks] == ["enough_rows"]
    assert writer.execute("select payload ->> 'source', expectation from quarantine").fetchall() == [
        ("coinmarketcap", "enough_rows")
    ]
    assert deliver(writer, MemoryProducer(), "market") == len(SOUND)


def test_a_row_that_is_no_record_is_held_back_in_the_records_own_words(writer: psycopg.Connection[Any]) -> None:
    stage(writer, "market", [*SOUND, coin("XRP", 0)], "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert [result.name for result in report.failed] == ["is_a_record"]
    held = writer.execute("select expectation, reason from quarantine").fetchall()
    assert held[0][0] == "is_a_record"
    assert "Expected `int` >= 1 - at `$.rank`" in held[0][1]
    assert report.counts.passed == 2


def test_a_column_that_no_row_has_is_never_green(writer: psycopg.Connection[Any]) -> None:
    without = [
        StagedRow(row.key, {name: value for name, value in row.payload.items() if name != "symbol"}, row.origin)
        for row in SOUND
    ]
    stage(writer, "market", without, "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert not report.passed
    assert report.counts.passed == 0
    (found,) = [result for result in report.results if result.name == "symbol_known"]
    assert (found.success, found.observed, found.unexpected_count) == (False, "no row has symbol", 2)


def test_with_nothing_new_the_last_verdict_stands_and_the_first_is_never_green(
    writer: psycopg.Connection[Any],
) -> None:
    first = judge_staged(writer, "market", "run-0", ASSET)
    assert (first.passed, first.standing, [one.name for one in first.failed]) == (False, True, ["has_rows"])
    stage(writer, "market", [INCIDENT, *SOUND], "run-1")
    failed = [one.name for one in judge_staged(writer, "market", "run-1", ASSET).failed]
    again = judge_staged(writer, "market", "run-2", ASSET)
    assert (again.standing, again.passed, again.blocked) == (True, False, False)
    assert sorted(one.name for one in again.failed) == sorted(failed)
    assert {one.scope for one in again.failed} == {Scope.ROW}
    assert count(writer, "quality_results") == len(again.results), "nothing is written twice"


@pytest.mark.parametrize("least", [0, 1])
def test_no_rows_never_pass_whatever_the_suite_says(
    writer: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    content = json.loads((suites.SUITES / "market.json").read_text())
    content["expectations"][0]["kwargs"]["min_value"] = least
    (tmp_path / "market.json").write_text(json.dumps(content))
    read = suites.read
    monkeypatch.setattr(suites, "read", lambda name: read(name, tmp_path))
    report = audit(writer, "market", [], "run-1", ASSET).report
    assert (report.passed, report.blocked) == (False, True)
    assert [(result.name, result.success) for result in report.results] == [("has_rows", False)]


def everything(connection: psycopg.Connection[Any]) -> tuple[int, ...]:
    return tuple(count(connection, name) for name in ("staging", "quarantine", "quality_results", "quality_documents"))


def broken(*_arguments: Any, **_named: Any) -> Any:
    raise MemoryError("no room for a metric")


def test_a_crash_within_great_expectations_is_no_verdict_and_changes_nothing(
    writer: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(writer, "market", [INCIDENT, *SOUND], "run-1")
    from great_expectations.execution_engine import pandas_execution_engine  # noqa: PLC0415 - takes seconds

    with monkeypatch.context() as patched:
        patched.setattr(pandas_execution_engine.PandasExecutionEngine, "get_domain_records", broken)
        with pytest.raises(GateError, match="no room for a metric"):
            judge_staged(writer, "market", "run-1", ASSET)
    assert everything(writer) == (3, 0, 0, 0)
    assert judge_staged(writer, "market", "run-1", ASSET).counts.quarantined == 1, "the retry of the same run"


def test_a_broken_suite_changes_nothing(
    writer: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(writer, "market", SOUND, "run-1")
    (tmp_path / "market.json").write_text('{"name": "market", "expectations": [', encoding="utf-8")
    read = suites.read
    monkeypatch.setattr(suites, "read", lambda name: read(name, tmp_path))
    with pytest.raises(SuiteError, match=r"market\.json is not JSON"):
        judge_staged(writer, "market", "run-1", ASSET)
    assert everything(writer) == (2, 0, 0, 0)


def test_what_was_staged_by_a_killed_run_is_judged_by_the_next(writer: psycopg.Connection[Any]) -> None:
    stage(writer, "market", SOUND[:1], "killed")
    stage(writer, "market", SOUND[1:], "run-2")
    assert judge_staged(writer, "market", "run-2", ASSET).counts.passed == 2


def test_two_judgements_at_once_judge_every_row_once(database: Settings, writer: psycopg.Connection[Any]) -> None:
    stage(writer, "market", [INCIDENT, *SOUND], "run-1")
    found: list[GateReport] = []
    together = threading.Barrier(2)

    def one(run: str) -> None:
        with connect(Role.WRITER, database, autocommit=True) as connection:
            together.wait()
            found.append(judge_staged(connection, "market", run, ASSET))

    threads = [threading.Thread(target=one, args=[run]) for run in ("run-a", "run-b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.counts.staged for report in found) == [0, 3]
    assert [report.standing for report in found] == [False, True]
    assert writer.execute("select sum(occurrences) from quarantine").fetchone() == (1,)


def test_what_the_broker_does_not_acknowledge_stays_and_is_sent_again(
    writer: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ACKNOWLEDGED_S", 0.01)
    stage(writer, "market", SOUND, "run-1")
    judge_staged(writer, "market", "run-1", ASSET)
    away = MemoryProducer(online=False)
    with pytest.raises(DeliveryError, match="2 messages for rawmarket"):
        deliver(writer, away, "market")
    full = MemoryProducer(limit=1)
    with pytest.raises(DeliveryError):
        deliver(writer, full, "market")
    assert (count(writer, "staging"), count(writer, "published_keys")) == (2, 0)
    assert deliver(writer, MemoryProducer(), "market") == 2
    assert (count(writer, "staging"), count(writer, "published_keys")) == (0, 2)


def test_a_row_that_an_update_made_no_record_is_judged_once_more(
    writer: psycopg.Connection[Any],
) -> None:
    stage(writer, "market", SOUND, "run-1")
    judge_staged(writer, "market", "run-1", ASSET)
    writer.execute("update staging set payload = payload - 'name' where payload ->> 'symbol' = 'ETH'")
    assert deliver(writer, MemoryProducer(), "market") == 1
    assert judge_staged(writer, "market", "run-2", ASSET).counts.quarantined == 1
    assert count(writer, "staging") == 0


def test_rows_are_staged_whatever_they_hold_and_none_is_swallowed(writer: psycopg.Connection[Any]) -> None:
    odd = coin("A\x00B", 5, name="half a pair: \ud83d", price_usd=float("nan"))
    assert stage(writer, "market", [odd, coin("XYZ", 6), coin("XYZ", 7), coin("XYZ", 7)], "run-1") == 3
    found = writer.execute("select key, payload ->> 'name', payload ->> 'price_usd' from staging order by number")
    keys, names, prices = zip(*found.fetchall(), strict=True)
    assert [key.split("|")[-1] for key in keys] == ["A\ufffdB", "XYZ", "XYZ#2"]
    assert (names[0], prices[0]) == ("half a pair: \ufffd", None)
    report = judge_staged(writer, "market", "run-1", ASSET)
    held = dict(writer.execute("select payload ->> 'rank', expectation from quarantine").fetchall())
    assert held == {"5": "price_known", "7": "symbol_once"}
    assert report.counts.passed == 1


def test_of_a_coin_that_fails_every_minute_there_is_one_row_with_the_newest_state(
    writer: psycopg.Connection[Any],
) -> None:
    for minute in range(3):
        when = (NOW - timedelta(minutes=10 - minute)).isoformat()
        stage(writer, "market", [coin("EVIL", 1, timestamp=when), coin("BTC", 1, timestamp=when)], f"run-{minute}")
        judge_staged(writer, "market", f"run-{minute}", ASSET)
    rows = writer.execute("select key, occurrences, run, payload ->> 'timestamp' from quarantine").fetchall()
    newest = (NOW - timedelta(minutes=8)).isoformat()
    assert rows == [(f"{newest}|coingecko|EVIL", 3, "run-2", newest)]


def test_documents_are_kept_where_something_turned_and_else_the_newest_of_the_hour(
    writer: psycopg.Connection[Any],
) -> None:
    def judged(minute: int, *failed: str) -> None:
        told = {"asset": ASSET, "run": f"run-{minute}", "suite": "market", "success": not failed}
        at = datetime(2026, 11, 21, 10, tzinfo=UTC) + timedelta(minutes=minute)
        writer.execute(
            query("quality_document_insert"), {**told, "failed": sorted(failed), "document": "{}", "evaluated_at": at}
        )

    for minute in range(5):
        judged(minute)
    for minute in range(5, 9):
        judged(minute, "no_jump")
    for minute in range(9, 130):
        judged(minute)
    kept = writer.execute(
        "select extract(epoch from evaluated_at - '2026-11-21 10:00Z')::int / 60, failed, turned"
        " from quality_documents order by 1"
    ).fetchall()
    assert kept == [
        (0, [], True),
        (4, [], False),
        (5, ["no_jump"], True),
        (8, ["no_jump"], False),
        (9, [], True),
        (59, [], False),
        (119, [], False),
        (129, [], False),
    ]


def test_documents_are_what_great_expectations_writes_without_the_rows(writer: psycopg.Connection[Any]) -> None:
    stage(writer, "market", [INCIDENT, *SOUND], "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    asset, failed, document = writer.execute("select asset, failed, document from quality_documents").fetchall()[0]
    assert (asset, failed) == (ASSET, sorted(result.name for result in report.failed))
    found = {one["expectation_config"]["meta"]["name"]: one for one in document["results"]}
    assert found.keys() == {result.name for result in report.results}
    assert found["rank_one_is_bitcoin"]["result"]["partial_unexpected_list"] == ["EVIL"]
    assert document["statistics"]["unsuccessful_expectations"] == len(failed)
    assert '"unexpected_index_list"' not in json.dumps(document)


def test_the_recorded_answer_with_bitcoin_at_rank_two_is_held_back_for_just_that(
    writer: psycopg.Connection[Any], shared_data: Path
) -> None:
    folder = shared_data / "rest"
    (listed,) = json.loads((folder / "coingecko_coins_markets_2022-02-23_page2_bitcoin.json").read_text())
    told = json.loads((folder / "coingecko_coins_markets_2022-02-23_page2_headers.json").read_text())
    answered = parsedate_to_datetime(told["headers"]["Date"])
    payload = {
        "received_at": answered.isoformat(),
        "timestamp": listed["last_updated"],
        "source": "coingecko",
        "symbol": listed["symbol"].upper(),
        "name": listed["name"],
        "price_usd": str(listed["current_price"]),
        "market_cap": str(listed["market_cap"]),
        "volume_24h": str(listed["total_volume"]),
        "change_24h": listed["price_change_percentage_24h"],
        "ath": str(listed["ath"]),
        "atl": str(listed["atl"]),
        "circulating_supply": str(listed["circulating_supply"]),
        "rank": listed["market_cap_rank"],
    }
    stage(writer, "market", [StagedRow("recorded", payload, {"answered": 250, "asked": 250})], "run-1")
    report = judge_staged(writer, "market", "run-1", ASSET)
    assert [result.name for result in report.failed] == ["bitcoin_is_rank_one"]
    (reason,) = writer.execute("select reason from quarantine").fetchone() or [""]
    assert reason == (
        "Bitcoin is the largest coin: at another rank the source's ranking is broken (rank: 2, symbol: BTC)."
    )


def test_the_missing_days_of_fear_and_greed_are_named(writer: psycopg.Connection[Any], shared_data: Path) -> None:
    with (shared_data / "rest" / "fear_greed_2018_2022.csv").open(encoding="utf-8") as file:
        days = list(csv.DictReader(file))
    rows = [
        StagedRow(
            when,
            {
                "received_at": NOW.isoformat(),
                "timestamp": when,
                "source": "alternative.me",
                "value": int(day["fear_greed_index"]),
                "classification": day["value_classification"],
            },
        )
        for day in days
        for when in [datetime.fromtimestamp(int(day["timestamp"]), UTC).isoformat()]
    ]
    assert stage(writer, "mood", rows, "run-1") == 1499
    report = judge_staged(writer, "mood", "run-1", "poll/mood")
    assert (report.counts.passed, report.blocked) == (1499, False)
    (found,) = report.failed
    assert (found.name, found.severity) == ("no_missing_days", "warning")
    assert found.examples[0]["missing_days"] == "2018-04-14, 2018-04-15, 2018-04-16"
    assert len(found.examples) == 1
    assert found.observed == ["2018-04-14, 2018-04-15, 2018-04-16"]


def test_a_day_that_is_stored_is_not_missing(writer: psycopg.Connection[Any]) -> None:
    today = NOW.replace(hour=0, minute=0, second=0)
    writer.execute(
        "insert into fear_greed_data (timestamp, value, classification) values (%s, 60, 'Greed')",
        [today - timedelta(days=2)],
    )
    payload = {
        "received_at": NOW.isoformat(),
        "timestamp": today.isoformat(),
        "source": "alternative.me",
        "value": 60,
        "classification": "Greed",
    }
    stage(writer, "mood", [StagedRow("today", payload)], "run-1")
    (found,) = judge_staged(writer, "mood", "run-1", "poll/mood").failed
    assert found.observed == [str((today - timedelta(days=1)).date())]


class EndedError(Exception):
    """The run ends here."""


def whole(connection: psycopg.Connection[Any], broker: MemoryProducer, rows: list[StagedRow], run: str) -> None:
    """One run of a poller, from the first row to the last acknowledgement."""
    with connection.transaction():
        stage(connection, "market", rows, run)
    judge_staged(connection, "market", run, ASSET)
    deliver(connection, broker, "market")


def places(connection: psycopg.Connection[Any], broker: MemoryProducer) -> Counter[str]:
    """Where each coin is: it must be somewhere, and published at most once as far as keys can tell."""
    staged = [row[0] for row in connection.execute("select payload ->> 'symbol' from staging")]
    held = [row[0] for row in connection.execute("select payload ->> 'symbol' from quarantine")]
    sent = {(record.timestamp, record.source, record.symbol) for record in broker.of("rawmarket")}
    return Counter([*staged, *held, *(symbol for _, _, symbol in sent)])


class Tripwire:
    """A connection that ends the run at its nth statement, before or after it."""

    def __init__(self, connection: psycopg.Connection[Any], at: float) -> None:
        self.connection, self.at, self.seen = connection, at, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, *arguments: Any) -> Any:
        self.seen += 1
        if self.seen == self.at:
            raise EndedError
        found = self.connection.execute(*arguments)
        if self.seen + 0.5 == self.at:
            raise EndedError
        return found


def test_a_run_that_ends_at_any_statement_loses_nothing_and_the_next_finishes_it(
    database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [INCIDENT, *SOUND, coin("ADA", 3)]
    judged = {}

    def remembered(suite: Any, columns: Any) -> Any:
        judged.setdefault(suite.name, evaluate(suite, columns))
        return list(judged[suite.name])

    evaluate = engine.evaluate
    monkeypatch.setattr(engine, "evaluate", remembered)
    at = 1.0
    for at in itertools.count(2):
        with connect(Role.WRITER, database, autocommit=True) as connection:
            for name in ("staging", "quarantine", "published_keys", "quality_results", "quality_documents"):
                connection.execute(f"delete from {name}")  # type: ignore[arg-type]
            broker, wire = MemoryProducer(), Tripwire(connection, at / 2)
            with connection.transaction():
                stage(connection, "market", rows[:2], "before")
            try:
                whole(wire, broker, rows, "killed")  # type: ignore[arg-type]
            except EndedError:
                found = places(connection, broker)
                assert found >= Counter(["EVIL", "BTC"]), "staged before, and still somewhere"
                whole(connection, broker, rows, "next")
            else:
                assert wire.seen > 8
                break
            assert places(connection, broker) == Counter(["EVIL", "BTC", "ETH", "ADA"]), f"ended at {at / 2}"
            assert count(connection, "staging") == 0


KILLED = """
import os, signal, sys, json
from pathlib import Path
import psycopg
from tests.doubles.bus import MemoryProducer
from cryptoviz.gate import engine, outbox, staging
from cryptoviz.storage.queries import query

address, broker_file, at, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])

class Broker(MemoryProducer):
    def flush(self, timeout):
        with broker_file.open("a") as file:
            for _topic, _key, record in self._waiting:
                file.write(record.symbol + "\\n")
        return super().flush(timeout)

class Deadly(psycopg.Connection):
    seen = 0
    def execute(self, *arguments, **named):
        Deadly.seen += 1
        found = super().execute(*arguments, **named)
        if Deadly.seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

engine.evaluate = lambda suite, columns: [
    engine.evaluation_from(one, engine.ExpectationOutcome(one.name != "rank_one_is_bitcoin", None, 0,
        tuple(n for n, row in enumerate(columns) if row["symbol"] == "EVIL")), len(columns))
    for one in suite.expectations if one.name in ("has_rows", "rank_one_is_bitcoin")
]
with Deadly.connect(address, autocommit=True) as connection:
    with connection.transaction():
        staging.stage(connection, "market", [staging.StagedRow(*row) for row in rows], "run")
    outbox.judge_staged(connection, "market", "run", "poll/market")
    outbox.deliver(connection, Broker(), "market")
"""


def test_a_process_that_is_killed_at_any_statement_loses_nothing(
    database: Settings, writer: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """Great Expectations is left out here, its import takes longer than all the rest."""
    batch = [INCIDENT, *SOUND, coin("ADA", 3)]
    rows = json.dumps([[row.key, row.payload, row.origin] for row in batch])
    address = database.database(Role.WRITER)

    def run(at: int, broker: Path) -> int:
        command = [sys.executable, "-c", KILLED, address, str(broker), str(at), rows]
        return subprocess.run(command, cwd=PROJECT_ROOT, check=False, timeout=60).returncode

    for at in itertools.count(1):
        broker = tmp_path / f"{at}"
        broker.touch()
        for name in ("staging", "quarantine", "published_keys"):
            writer.execute(f"delete from {name}")  # type: ignore[arg-type]
        ended = run(at, broker)
        if ended == 0:
            assert at > 8
            break
        assert ended == -9
        assert run(0, broker) == 0
        sent = broker.read_text().split()
        assert set(sent) == {"BTC", "ETH", "ADA"}, f"killed at {at}"
        assert len(sent) in (3, 6), "a second copy only where the acknowledgement was not written down"
        assert count(writer, "staging") == 0
        assert writer.execute("select payload ->> 'symbol' from quarantine").fetchall() == [("EVIL",)]
